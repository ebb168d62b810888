drop schema participation cascade;
