alter function participation.enter_batch_v1(uuid[], uuid[], bytea[], bytea[], bytea[], smallint[], smallint[], smallint[],
  bytea[], bytea[], boolean) reset plan_cache_mode;
