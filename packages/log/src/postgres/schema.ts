/**
 * The tables of the log, and the one statement that writes to them.
 *
 *   streams      the declared streams
 *   partitions   one row each: where it starts, where the next record goes, its watermark
 *   record_rows  the log itself, by (partition, offset), in plain columns
 *   blocks       what folds emit, many records in a row, by their first offset (`blocks-schema.ts`)
 *   records      both as a view, a row for each record
 *   key_places   where the records are that are found under other keys than their own: a row for each
 *                key and group of units
 *   record_keys  the same as a view, a row for each key and record
 *   ids          every event id ever appended (but those declared unique), also of removed records
 *   processors   the newest generation of each
 *   steps        how far a processor came on a source partition, and the keys that wait there
 *   step_ends    the ends in the target partitions after its last emission to each
 *   members      the processes that write, and the last unit of each with its outcome
 *   leases       which member commits the steps of the partitions with a number, and its fencing token
 *
 * `append` is called once for a group of units. It locks the rows of the partitions in the order of
 * their numbers, so that offsets are given in the order of commits: whoever sees offset n sees all
 * before it, and there are no gaps to wait for. All locks are taken and released inside of one
 * statement, so that a client that stops in the middle holds up nobody. It changes all or nothing:
 *
 *   done    committed; `places` are the offsets at which each partition went on, then the times of
 *           arrival and the watermarks that they had, null for none
 *   known   nothing was changed: `names` are ids that exist; the caller compares and comes again
 *   lost    nothing was changed: `places` are the indexes of steps whose lease went to another member
 *   stale   nothing was changed: `places` are the indexes of steps that do not follow
 *   moved   nothing was changed: a partition is not where `expected` says
 *   gone    nothing was changed: the member was removed for its silence
 *
 * A caller that lost its connection sends the same unit again and hears the outcome of the first time.
 */
import { BLOCKS, BLOCKS_BACK, FORGET_BLOCKS, IN_BLOCKS } from './blocks-schema.ts'
import { KEY_PLACES, KEY_PLACES_BACK } from './key-places-schema.ts'
import { FLAG } from './layout.ts'
import type { Migration } from './migrations.ts'

const TABLES = `
CREATE TABLE $schema.settings (
  name text PRIMARY KEY,
  value text NOT NULL
);
CREATE TABLE $schema.streams (
  name text COLLATE "C" PRIMARY KEY,
  number integer NOT NULL UNIQUE,
  partitions integer NOT NULL,
  lateness_ms bigint NOT NULL,
  skew_ms bigint NOT NULL,
  max_age_ms bigint,
  max_bytes bigint,
  is_transient boolean NOT NULL
);
CREATE TABLE $schema.partitions (
  number integer PRIMARY KEY,
  stream text COLLATE "C" NOT NULL REFERENCES $schema.streams (name),
  partition integer NOT NULL,
  first_offset bigint NOT NULL DEFAULT 0,
  next_offset bigint NOT NULL DEFAULT 0,
  watermark_ms bigint,
  ingest_ms bigint,
  bytes bigint NOT NULL DEFAULT 0,
  UNIQUE (stream, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE $schema.records (
  partition integer NOT NULL,
  "offset" bigint NOT NULL,
  event_ms bigint NOT NULL,
  ingest_ms bigint NOT NULL,
  watermark_ms bigint NOT NULL,
  generation bigint NOT NULL,
  flags integer NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  definition text COLLATE "C" NOT NULL,
  payload text COLLATE "C" NOT NULL,
  -- JSON with headers, keys and the sealed part, where there are any.
  extras text COLLATE "C",
  PRIMARY KEY (partition, "offset")
);
CREATE INDEX records_by_key ON $schema.records (partition, key, "offset");
CREATE TABLE $schema.record_keys (
  partition integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  "offset" bigint NOT NULL,
  PRIMARY KEY (partition, key, "offset")
);
CREATE TABLE $schema.ids (
  id text COLLATE "C" PRIMARY KEY,
  partition integer NOT NULL,
  "offset" bigint NOT NULL
);
CREATE TABLE $schema.processors (
  name text COLLATE "C" PRIMARY KEY,
  generation bigint NOT NULL
);
CREATE TABLE $schema.steps (
  processor text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  partition integer NOT NULL,
  consumed bigint NOT NULL,
  parked text COLLATE "C" NOT NULL,
  PRIMARY KEY (processor, generation, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE $schema.step_ends (
  processor text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  partition integer NOT NULL,
  target integer NOT NULL,
  end_offset bigint NOT NULL,
  PRIMARY KEY (processor, generation, partition, target)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE $schema.members (
  member text COLLATE "C" PRIMARY KEY,
  unit bigint NOT NULL DEFAULT 0,
  places bigint[] NOT NULL DEFAULT '{}',
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);`

/**
 * Planned once for indexes: a plan made while a table was empty must not read all of it later. What
 * is forbidden counts as very expensive where it cannot be avoided, for which PostgreSQL would compile
 * machine code, 40 ms a call.
 */
const PLANNING = `
SET search_path = $schema SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off`

/** What `append` is given of keys and does with them, and the same of steps under leases and of blocks. */
interface AppendParts {
  readonly keyParameters: string
  readonly keepKeys: string
  readonly parameters: string
  readonly check: string
  readonly tell: string
  /** The table that rows go to, and where the times of arrival of all that is appended are. */
  readonly rows: string
  readonly arrivals: string
  readonly blockParameters: string
  readonly keepBlocks: string
}

/** A row for each key of each record. */
const KEYS_APART = {
  keyParameters: 'k_at integer[], k_place bigint[], k_key text[],',
  keepKeys: `INSERT INTO record_keys SELECT t_number[k.at], k.key, v_bases[k.at] + k.place
      FROM unnest(k_at, k_key, k_place) k(at, key, place);`,
  tell: '',
} as const

/** A row for each key, with the text of the array of its further places. */
const KEYS_TOGETHER = {
  keyParameters: 'k_at integer[], k_place bigint[], k_key text[], k_more text[],',
  keepKeys: `INSERT INTO key_places
      SELECT t_number[k.at], k.key, v_bases[k.at] + k.place, k.more::integer[]
      FROM unnest(k_at, k_key, k_place, k_more) k(at, key, place, more);`,
  tell: 'v_bases := v_bases || v_ingests || v_marks;',
} as const

const IN_ROWS = {
  rows: 'records',
  arrivals: 'r_ingest',
  blockParameters: '',
  keepBlocks: '',
} as const

const UNLEASED = { parameters: '', check: '' } as const

const LEASED = {
  parameters: `,
  l_partition integer[], l_token bigint[]`,
  /** Taking a lease away waits for a commit that has seen it; a commit that comes later sees that it is gone. */
  check: `
    PERFORM 1 FROM leases l WHERE l.partition = ANY (l_partition) ORDER BY l.partition FOR SHARE;
    SELECT array_agg(t.at) INTO places
      FROM unnest(l_partition, l_token) WITH ORDINALITY t(partition, token, at)
      LEFT JOIN leases l ON l.partition = t.partition
      WHERE t.token IS NOT NULL
        AND (l.token IS DISTINCT FROM t.token OR l.owner IS DISTINCT FROM a_member);
    IF places IS NOT NULL THEN
      RETURN QUERY SELECT 'lost', places, NULL::text[], NULL::bigint[];
      RETURN;
    END IF;`,
} as const

const APPEND = `
CREATE FUNCTION $schema.append(
  a_member text, a_unit bigint,
  t_number integer[], t_count bigint[], t_watermark bigint[], t_bytes bigint[], t_expected bigint[],
  r_at integer[], r_place bigint[], r_event bigint[], r_ingest bigint[], r_watermark bigint[],
  r_generation bigint[], r_flags integer[], r_tenant text[], r_type text[], r_key text[],
  r_id text[], r_definition text[], r_payload text[], r_extras text[],
  $keyParameters$blockParameters
  s_processor text[], s_generation bigint[], s_source integer[], s_from bigint[], s_to bigint[],
  s_parked text[],
  e_step integer[], e_at integer[], e_place bigint[]$parameters
) RETURNS TABLE (verdict text, places bigint[], names text[], ends bigint[])
LANGUAGE plpgsql ${PLANNING} AS $body$
DECLARE
  v_unit bigint;
  v_bases bigint[];
  v_ingests bigint[];
  v_marks bigint[];
  v_generation bigint;
BEGIN
  SELECT m.unit, m.places INTO v_unit, v_bases FROM members m WHERE m.member = a_member FOR UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone', NULL::bigint[], NULL::text[], NULL::bigint[];
    RETURN;
  END IF;
  IF v_unit < a_unit THEN
    SELECT array_agg(l.next_offset), array_agg(l.ingest_ms), array_agg(l.watermark_ms)
      INTO v_bases, v_ingests, v_marks
      FROM (SELECT p.next_offset, p.ingest_ms, p.watermark_ms FROM partitions p
        WHERE p.number = ANY (t_number) ORDER BY p.number FOR NO KEY UPDATE) l;
    SELECT array_agg(t.base) INTO places FROM unnest(t_expected, v_bases) t(expected, base)
      WHERE t.expected <> t.base;
    IF places IS NOT NULL THEN
      RETURN QUERY SELECT 'moved', places, NULL::text[], NULL::bigint[];
      RETURN;
    END IF;$check
    PERFORM 1 FROM processors p WHERE p.name = ANY (s_processor) ORDER BY p.name FOR SHARE;
    SELECT array_agg(s.at) INTO places
      FROM unnest(s_processor, s_generation, s_source, s_from) WITH ORDINALITY
        s(processor, generation, source, start, at)
      LEFT JOIN processors p ON p.name = s.processor
      LEFT JOIN steps o ON o.processor = s.processor AND o.generation = s.generation
        AND o.partition = s.source
      WHERE p.generation > s.generation OR o.consumed <> s.start;
    IF places IS NOT NULL THEN
      RETURN QUERY SELECT 'stale', places, NULL::text[], NULL::bigint[];
      RETURN;
    END IF;
    SELECT array_agg(i.id) INTO names FROM unnest(r_id, r_flags) r(id, flags)
      JOIN ids i ON i.id = r.id WHERE r.flags & ${FLAG.unique} = 0;
    IF names IS NOT NULL THEN
      RETURN QUERY SELECT 'known', NULL::bigint[], names, NULL::bigint[];
      RETURN;
    END IF;

    INSERT INTO $rows SELECT t_number[r.at], v_bases[r.at] + r.place, r.event_ms,
        greatest(r.ingest_ms, v_ingests[r.at]), greatest(r.watermark_ms, v_marks[r.at]),
        r.generation, r.flags, r.tenant, r.type, r.key, r.id, r.definition, r.payload, r.extras
      FROM unnest(r_at, r_place, r_event, r_ingest, r_watermark, r_generation, r_flags, r_tenant,
        r_type, r_key, r_id, r_definition, r_payload, r_extras)
      r(at, place, event_ms, ingest_ms, watermark_ms, generation, flags, tenant,
        type, key, id, definition, payload, extras);
    -- In the order of the ids: two processes that bring the same ones do not block each other.
    INSERT INTO ids SELECT r.id, t_number[r.at], v_bases[r.at] + r.place
      FROM unnest(r_id, r_flags, r_at, r_place) r(id, flags, at, place)
      WHERE r.flags & ${FLAG.unique} = 0 ORDER BY r.id COLLATE "C";
    $keepKeys$keepBlocks
    UPDATE partitions p SET next_offset = p.next_offset + t.count, bytes = p.bytes + t.bytes,
        watermark_ms = greatest(p.watermark_ms, t.watermark),
        ingest_ms = greatest(p.ingest_ms, (SELECT max(i) FROM unnest($arrivals) i))
      FROM unnest(t_number, t_count, t_bytes, t_watermark) t(number, count, bytes, watermark)
      WHERE p.number = t.number AND t.count > 0;

    FOR i IN 1 .. cardinality(s_processor) LOOP
      INSERT INTO processors AS p (name, generation) VALUES (s_processor[i], s_generation[i])
        ON CONFLICT (name) DO UPDATE SET generation = excluded.generation
        WHERE p.generation < excluded.generation;
      INSERT INTO steps AS o (processor, generation, partition, consumed, parked)
        VALUES (s_processor[i], s_generation[i], s_source[i], s_to[i], s_parked[i])
        ON CONFLICT (processor, generation, partition)
        DO UPDATE SET consumed = excluded.consumed, parked = excluded.parked
        WHERE o.consumed = s_from[i];
      -- Two first steps at once: the slower one comes again, and is told that it is stale.
      IF NOT FOUND THEN
        RAISE EXCEPTION 'a step was overtaken' USING ERRCODE = 'serialization_failure';
      END IF;
      SELECT p.generation INTO v_generation FROM processors p WHERE p.name = s_processor[i];
      IF v_generation > s_generation[i] THEN
        RAISE EXCEPTION 'a generation was overtaken' USING ERRCODE = 'serialization_failure';
      END IF;
    END LOOP;
    INSERT INTO step_ends SELECT s_processor[e.step], s_generation[e.step], s_source[e.step],
        t_number[e.at], v_bases[e.at] + e.place
      FROM unnest(e_step, e_at, e_place) e(step, at, place)
      ON CONFLICT (processor, generation, partition, target)
      DO UPDATE SET end_offset = excluded.end_offset;
    $tell
    UPDATE members m SET unit = a_unit, places = coalesce(v_bases, '{}'),
      seen_at = clock_timestamp() WHERE m.member = a_member;
  END IF;
  RETURN QUERY SELECT 'done', v_bases, NULL::text[],
    (SELECT array_agg(p.next_offset ORDER BY p.number) FROM partitions p);
END $body$;`

function seek(from: string): string {
  return `
CREATE OR REPLACE FUNCTION $schema.seek(a_partition integer, a_time bigint) RETURNS bigint
LANGUAGE plpgsql STABLE ${PLANNING} AS $body$
DECLARE
  v_low bigint;
  v_high bigint;
  v_middle bigint;
  v_ingest bigint;
BEGIN
  SELECT first_offset, next_offset INTO v_low, v_high FROM partitions WHERE number = a_partition;
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high) / 2;
    SELECT ingest_ms INTO v_ingest FROM ${from};
    IF v_ingest >= a_time THEN v_high := v_middle; ELSE v_low := v_middle + 1; END IF;
  END LOOP;
  RETURN v_low;
END $body$;`
}

const BY_ROW = 'records WHERE partition = a_partition AND "offset" = v_middle'
const BY_PLACE = 'record_at(a_partition, v_middle)'

function retain(forgetKeys: string, rows = 'records', forgetBlocks = ''): string {
  return `
CREATE OR REPLACE FUNCTION $schema.retain(a_partition integer, a_first bigint) RETURNS void
LANGUAGE plpgsql ${PLANNING} AS $body$
DECLARE
  v_first bigint;
  v_bytes bigint;
BEGIN
  SELECT least(a_first, next_offset - 1) INTO v_first FROM partitions
    WHERE number = a_partition AND first_offset < a_first FOR NO KEY UPDATE;
  IF v_first IS NULL THEN RETURN; END IF;
  WITH gone AS (
    DELETE FROM ${rows} WHERE partition = a_partition AND "offset" < v_first
    RETURNING octet_length(payload) AS size)
  SELECT coalesce(sum(size), 0) INTO v_bytes FROM gone;${forgetBlocks}
  ${forgetKeys}
  UPDATE partitions SET first_offset = v_first, bytes = bytes - v_bytes
    WHERE number = a_partition;
END $body$;`
}

const LEASES = `
ALTER TABLE $schema.members
  ADD COLUMN joined bigint GENERATED ALWAYS AS IDENTITY,
  -- What its folds emit; null while it does not stand for leases.
  ADD COLUMN lineage text COLLATE "C",
  ADD COLUMN address text COLLATE "C";
CREATE TABLE $schema.leases (
  partition integer PRIMARY KEY,
  owner text COLLATE "C",
  token bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO $schema.leases (partition)
  SELECT generate_series(0, (SELECT max(partitions) FROM $schema.streams) - 1);`

/**
 * Shows that a member lives, forgets those that were silent for longer than a lease, and tells who
 * is there and who holds what; null when the member itself was forgotten. One in the middle of a
 * commit is not silent. Only the clock of the database counts.
 */
const BEAT = `
CREATE FUNCTION $schema.beat(
  a_member text, a_lease_ms double precision, a_forgets boolean, a_lineage text, a_address text
) RETURNS text LANGUAGE plpgsql ${PLANNING} AS $body$
BEGIN
  UPDATE members SET seen_at = clock_timestamp(), lineage = a_lineage, address = a_address
    WHERE member = a_member;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF a_forgets THEN
    DELETE FROM members WHERE member IN (SELECT m.member FROM members m
      WHERE m.seen_at < clock_timestamp() - a_lease_ms * interval '1 millisecond'
      FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN json_build_object(
    'members', (SELECT json_agg(json_build_array(m.member, m.lineage, m.address) ORDER BY m.joined)
      FROM members m),
    'leases', (SELECT coalesce(json_agg(json_build_array(l.partition, l.owner, l.token)
      ORDER BY l.partition), '[]') FROM leases l))::text;
END $body$;`

/** Takes those of some leases that nobody holds, or a member that is gone; gives them with their tokens. */
const CLAIM = `
CREATE FUNCTION $schema.claim(a_member text, a_partitions integer[])
RETURNS TABLE (claimed integer, its_token bigint) LANGUAGE plpgsql ${PLANNING} AS $body$
BEGIN
  PERFORM 1 FROM leases l WHERE l.partition = ANY (a_partitions) ORDER BY l.partition FOR UPDATE;
  RETURN QUERY UPDATE leases l SET owner = a_member, token = l.token + 1
    WHERE l.partition = ANY (a_partitions)
      AND EXISTS (SELECT 1 FROM members m WHERE m.member = a_member)
      AND (l.owner IS NULL OR NOT EXISTS (SELECT 1 FROM members m WHERE m.member = l.owner))
    RETURNING l.partition, l.token;
END $body$;`

function append(parts: AppendParts): string {
  return Object.entries<string>({ ...parts }).reduce(
    (text, [name, part]) => text.replace(`$${name}`, () => part),
    APPEND,
  )
}

/** Removes the one `append` that has a parameter of this name. */
function dropAppend(parameter: string): string {
  return `
DO $do$ DECLARE v_function regprocedure; BEGIN
  SELECT p.oid INTO STRICT v_function FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = '$schema' AND p.proname = 'append' AND '${parameter}' = ANY (p.proargnames);
  EXECUTE 'DROP FUNCTION ' || v_function;
END $do$;`
}

const FORGET_APART = 'DELETE FROM record_keys WHERE partition = a_partition AND "offset" < v_first;'
const FORGET_TOGETHER = `DELETE FROM key_places WHERE partition = a_partition
    AND first_offset + coalesce(more[cardinality(more)], 0) < v_first;`

/** What the log needs; `migrate` applies it. */
export const logMigrations: readonly Migration[] = [
  {
    part: 'log',
    number: 1,
    forward: [
      TABLES,
      append({ ...KEYS_APART, ...UNLEASED, ...IN_ROWS }),
      seek(BY_ROW),
      retain(FORGET_APART),
    ].join('\n'),
    back: `
DROP FUNCTION $schema.append, $schema.seek, $schema.retain;
DROP TABLE $schema.settings, $schema.partitions, $schema.streams, $schema.records,
  $schema.record_keys, $schema.ids, $schema.processors, $schema.steps, $schema.step_ends,
  $schema.members;`,
  },
  {
    part: 'log',
    number: 2,
    // The former `append`, with fewer parameters, stays: processes of the build before go on.
    forward: [LEASES, append({ ...KEYS_APART, ...LEASED, ...IN_ROWS }), BEAT, CLAIM].join('\n'),
    back: `${dropAppend('l_token')}
DROP FUNCTION $schema.beat, $schema.claim;
DROP TABLE $schema.leases;
ALTER TABLE $schema.members DROP COLUMN joined, DROP COLUMN lineage, DROP COLUMN address;`,
  },
  {
    part: 'log',
    number: 3,
    forward: [
      KEY_PLACES,
      append({ ...KEYS_TOGETHER, ...LEASED, ...IN_ROWS }),
      retain(FORGET_TOGETHER),
    ].join('\n'),
    back: [dropAppend('k_more'), retain(FORGET_APART), KEY_PLACES_BACK].join('\n'),
  },
  {
    part: 'log',
    number: 4,
    forward: [
      BLOCKS,
      append({ ...KEYS_TOGETHER, ...LEASED, ...IN_BLOCKS }),
      seek(BY_PLACE),
      retain(FORGET_TOGETHER, 'record_rows', FORGET_BLOCKS),
    ].join('\n'),
    back: [dropAppend('b_lines'), BLOCKS_BACK, seek(BY_ROW), retain(FORGET_TOGETHER)].join('\n'),
  },
  {
    part: 'keys',
    number: 1,
    forward: `
CREATE TABLE $schema.person_keys (
  name text COLLATE "C" PRIMARY KEY,
  -- None: it was destroyed, and the name never gets another.
  key bytea
);`,
    back: 'DROP TABLE $schema.person_keys;',
  },
]
