-- The statement of a batch has one plan, whatever the batch: planning it anew took 2.3 ms, more than the rows of a small one.
alter function participation.enter_batch_v1(uuid[], uuid[], bytea[], bytea[], bytea[], smallint[], smallint[], smallint[],
  bytea[], bytea[], boolean) set plan_cache_mode = force_generic_plan;
