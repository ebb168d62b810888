-- The server counts what people see; one emoji of a family is seven characters to length(). Here only their bytes have
-- a bound, which is the server's: twelve for each that people see.
alter table identity.stores
  drop constraint stores_name_check,
  add constraint stores_name_check check (octet_length(name) between 1 and 720),
  drop constraint stores_address_check,
  add constraint stores_address_check check (octet_length(address) <= 2400);
alter table events.events
  drop constraint events_title_check,
  add constraint events_title_check check (octet_length(title) between 1 and 720);
alter table events.prizes
  drop constraint prizes_name_check,
  add constraint prizes_name_check check (octet_length(name) between 1 and 720);
