alter table events.images drop column own_headline, drop column own_body;
