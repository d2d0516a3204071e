/** The third change of the tables: where records are that are found under other keys than their own. */
import { FLAG, KEY_PLACES_MAX } from './layout.ts'

/**
 * Keys by place, and an index without what is found there. Nobody appends meanwhile. A process of the
 * build before goes on: it reads the view, and writes to it.
 */
export const KEY_PLACES = `
LOCK TABLE $schema.partitions IN EXCLUSIVE MODE;
ALTER TABLE $schema.record_keys RENAME TO former_keys;
CREATE TABLE $schema.key_places (
  partition integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  first_offset bigint NOT NULL,
  -- How far behind the first the others are, ascending; null for none.
  more integer[]
);
INSERT INTO $schema.key_places
  SELECT partition, key, first, array_agg((place - first)::integer ORDER BY place)
    FILTER (WHERE place > first)
  FROM (SELECT partition, key, place, min(place) OVER (PARTITION BY partition, key, era, part) AS first
    FROM (SELECT partition, key, "offset" AS place, "offset" >> 30 AS era, (row_number()
        OVER (PARTITION BY partition, key ORDER BY "offset") - 1) / ${KEY_PLACES_MAX} AS part
      FROM $schema.former_keys) numbered) grouped
  GROUP BY partition, key, first;
ALTER TABLE $schema.key_places ADD PRIMARY KEY (partition, key, first_offset);
DROP TABLE $schema.former_keys;
CREATE VIEW $schema.record_keys AS
  SELECT k.partition, k.key, k.first_offset + distance AS "offset"
  FROM $schema.key_places k, unnest(0 || k.more) distance;
CREATE FUNCTION $schema.keep_key() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO $schema.key_places VALUES (NEW.partition, NEW.key, NEW."offset");
  RETURN NEW;
END $body$;
CREATE TRIGGER keep_key INSTEAD OF INSERT ON $schema.record_keys
  FOR EACH ROW EXECUTE FUNCTION $schema.keep_key();
DROP INDEX $schema.records_by_key;
CREATE INDEX records_by_key ON $schema.records (partition, key, "offset")
  WHERE flags & ${FLAG.keysApart} = 0;`

/** Back to a row for each key and record. */
export const KEY_PLACES_BACK = `
LOCK TABLE $schema.partitions IN EXCLUSIVE MODE;
DROP INDEX $schema.records_by_key;
CREATE INDEX records_by_key ON $schema.records (partition, key, "offset");
CREATE TABLE $schema.former_keys (
  partition integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  "offset" bigint NOT NULL
);
INSERT INTO $schema.former_keys SELECT partition, key, "offset" FROM $schema.record_keys;
DROP VIEW $schema.record_keys;
DROP FUNCTION $schema.keep_key;
DROP TABLE $schema.key_places;
ALTER TABLE $schema.former_keys RENAME TO record_keys;
ALTER TABLE $schema.record_keys ADD PRIMARY KEY (partition, key, "offset");`
