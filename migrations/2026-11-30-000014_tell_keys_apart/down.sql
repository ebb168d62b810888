alter table participation.epoch drop column canary;
