create index jobs_of_store on events.jobs (kind, (input ->> 'store'), created_at);
drop index events.jobs_of_business;
alter table events.jobs drop column business_index;
drop table identity.known_addresses;
