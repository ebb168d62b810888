-- Not validated: texts that were stored meanwhile stay.
alter table identity.stores
  drop constraint stores_name_check,
  add constraint stores_name_check check (length(name) between 1 and 60) not valid,
  drop constraint stores_address_check,
  add constraint stores_address_check check (length(address) <= 200) not valid;
alter table events.events
  drop constraint events_title_check,
  add constraint events_title_check check (length(title) between 1 and 60) not valid;
alter table events.prizes
  drop constraint prizes_name_check,
  add constraint prizes_name_check check (length(name) between 1 and 60) not valid;
