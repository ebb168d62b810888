-- Who holds a prize now follows from the draw and from what was passed on, in order: the order and the reason are public.
alter table participation.winners
  add column passed_on_no  int  check (passed_on_no >= 1),
  add column passed_on_why text check (passed_on_why in ('erased', 'declined', 'expired', 'forfeited'));
comment on column participation.winners.passed_on_no is '1, 2, 3 … in the order in which prizes and places of this draw were passed on.';
comment on column participation.winners.passed_on_why is 'Why it was passed on.';
-- Until now only an erasure passed something on. Those of one transaction went by entry number.
update participation.winners w set passed_on_no = x.no, passed_on_why = 'erased'
  from (select draw_id, position, row_number() over (partition by draw_id order by forfeited_at, entry_no) as no
          from participation.winners where forfeited_at is not null) x
 where w.draw_id = x.draw_id and w.position = x.position;
create unique index winners_passed_on_once on participation.winners (draw_id, passed_on_no) where passed_on_no is not null;

-- Tokens on paper are made from it: one more, and all of before are void.
alter table events.events add column visit_papers int not null default 0 check (visit_papers >= 0);
comment on column events.events.visit_papers is 'How often the visit tokens printed on paper were voided.';
