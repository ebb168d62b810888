alter table events.events drop column visit_papers;
drop index participation.winners_passed_on_once;
alter table participation.winners drop column passed_on_no, drop column passed_on_why;
