/**
 * The fourth change of the tables: what folds emit goes into `blocks`, many records in a row, with a
 * line of text each. A row of a table costs the database as much whether it holds one record or a
 * hundred, and of what an event leads to, two thirds are emissions. Everything is still read with SQL:
 * `records` is a view now, of the rows and the lines.
 *
 *   line     head, tab, extras as in a row or nothing, tab, payload (JSON text without a line feed)
 *   head     JSON: [event time, time of arrival, watermark, generation, flags, tenant, type, key, id,
 *            definition]
 *
 * Time of arrival and watermark of a record are the greater of its own and what its partition had when
 * the block was appended. A process of the build before goes on meanwhile: it reads the view, slowly,
 * and writes to it.
 */

// What is behind the second tab, whatever is in it.
const PAYLOAD = `substr(l.line,
    3 + length(split_part(l.line, E'\\t', 1)) + length(split_part(l.line, E'\\t', 2)))`

/** The columns of the record in a line `l.line` with the head `m` of a block `b`, but its partition and offset. */
const OF_LINE = `(m ->> 0)::bigint, greatest((m ->> 1)::bigint, b.ingest_ms),
    greatest((m ->> 2)::bigint, b.watermark_ms), (m ->> 3)::bigint, (m ->> 4)::integer,
    (m ->> 5) COLLATE "C", (m ->> 6) COLLATE "C", (m ->> 7) COLLATE "C", (m ->> 8) COLLATE "C",
    (m ->> 9) COLLATE "C", ${PAYLOAD} COLLATE "C",
    nullif(split_part(l.line, E'\\t', 2), '') COLLATE "C"`
// Parsed once, not for each column.
const HEAD = `(SELECT split_part(l.line, E'\\t', 1)::json AS m OFFSET 0) head`

const LINES = `
  SELECT b.partition, b.first_offset + l.at - 1, ${OF_LINE}
  FROM $schema.blocks b
    CROSS JOIN LATERAL unnest(string_to_array(b.lines, E'\\n')) WITH ORDINALITY l(line, at)
    CROSS JOIN LATERAL ${HEAD}`

/** Forward. */
export const BLOCKS = `
LOCK TABLE $schema.partitions IN EXCLUSIVE MODE;
ALTER TABLE $schema.records RENAME TO record_rows;
CREATE TABLE $schema.blocks (
  partition integer NOT NULL,
  first_offset bigint NOT NULL,
  count integer NOT NULL,
  -- What the partition had before it; null for nothing.
  ingest_ms bigint,
  watermark_ms bigint,
  lines text COLLATE "C" NOT NULL,
  PRIMARY KEY (partition, first_offset)
);
-- A fifth of the processor time of the usual method; not every server has it.
DO $do$ BEGIN
  EXECUTE 'ALTER TABLE $schema.blocks ALTER COLUMN lines SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN NULL;
END $do$;
CREATE VIEW $schema.records AS SELECT * FROM $schema.record_rows UNION ALL ${LINES};
CREATE FUNCTION $schema.keep_record() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO $schema.record_rows SELECT NEW.*;
  RETURN NEW;
END $body$;
CREATE TRIGGER keep_record INSTEAD OF INSERT ON $schema.records
  FOR EACH ROW EXECUTE FUNCTION $schema.keep_record();
-- The record at a place, without reading more than the block that it is in.
CREATE FUNCTION $schema.record_at(a_partition integer, a_offset bigint)
RETURNS SETOF $schema.record_rows LANGUAGE sql STABLE ROWS 1 AS $body$
  SELECT * FROM $schema.record_rows r
  WHERE r.partition = a_partition AND r."offset" = a_offset
  UNION ALL
  SELECT b.partition, a_offset, ${OF_LINE}
  FROM (SELECT * FROM $schema.blocks n WHERE n.partition = a_partition
      AND n.first_offset <= a_offset ORDER BY n.first_offset DESC LIMIT 1) b
    CROSS JOIN LATERAL
      (SELECT split_part(b.lines, E'\\n', (a_offset - b.first_offset + 1)::integer) AS line
        OFFSET 0) l
    CROSS JOIN LATERAL ${HEAD}
  WHERE a_offset < b.first_offset + b.count
$body$;`

/** Back: every line becomes a row; it is found by `key_places`, as the build before knows it. */
export const BLOCKS_BACK = `
LOCK TABLE $schema.partitions IN EXCLUSIVE MODE;
DROP VIEW $schema.records;
DROP FUNCTION $schema.keep_record, $schema.record_at;
INSERT INTO $schema.record_rows ${LINES};
DROP TABLE $schema.blocks;
ALTER TABLE $schema.record_rows RENAME TO records;`

/** What `append` does with blocks. */
export const IN_BLOCKS = {
  rows: 'record_rows',
  arrivals: 'r_ingest || b_ingest',
  blockParameters: `
  b_at integer[], b_place bigint[], b_count integer[], b_ingest bigint[], b_lines text[],`,
  keepBlocks: `
    INSERT INTO blocks SELECT t_number[b.at], v_bases[b.at] + b.place, b.count, v_ingests[b.at],
        v_marks[b.at], b.lines
      FROM unnest(b_at, b_place, b_count, b_lines) b(at, place, count, lines);`,
} as const

/** Blocks go as a whole, with the last of their records. */
export const FORGET_BLOCKS = `
  WITH gone AS (
    DELETE FROM blocks WHERE partition = a_partition AND first_offset < v_first
      AND first_offset + count <= v_first
    RETURNING lines)
  SELECT v_bytes + coalesce(sum(octet_length(${PAYLOAD})), 0) INTO v_bytes
    FROM gone CROSS JOIN LATERAL unnest(string_to_array(lines, E'\\n')) l(line);`
