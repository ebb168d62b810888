-- The server counts what people see; one emoji of a family is seven characters to length(). Here only their bytes have
-- a bound, which is the server's: 35 for each that people see, as many as the longest emoji has.
alter table identity.stores
  drop constraint stores_name_check,
  add constraint stores_name_check check (octet_length(name) between 1 and 2100),
  drop constraint stores_address_check,
  add constraint stores_address_check check (octet_length(address) <= 7000);
alter table events.events
  drop constraint events_title_check,
  add constraint events_title_check check (octet_length(title) between 1 and 2100);
alter table events.prizes
  drop constraint prizes_name_check,
  add constraint prizes_name_check check (octet_length(name) between 1 and 2100);
