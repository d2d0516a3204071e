"""Feast's side of bench/feast.ts: python measure.py <directory> <reads> <redis or nothing> <port>.

Reads `values.parquet` (entity, event_timestamp, f0...) of the directory, writes it into the online
stores, and reads batches of the entities that `batches.json` names. Prints one JSON object a line:
figures of the SDK by store, then the address of Feast's own server, which it leaves running.
"""

import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType

directory, reads, redis = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
values = pd.read_parquet(directory / "values.parquet")
values["event_timestamp"] = pd.to_datetime(values["event_timestamp"], unit="ms", utc=True)
names = [name for name in values.columns if name.startswith("f")]
batches = json.loads((directory / "batches.json").read_text())
asked = [f"clips:{name}" for name in names]


def store_of(kind, online):
    config = RepoConfig(
        project=f"bench_{kind}",
        registry=str(directory / f"{kind}.registry.db"),
        provider="local",
        online_store=online,
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
        repo_path=directory,
    )
    store = FeatureStore(config=config)
    clip = Entity(name="clip", join_keys=["clip"], value_type=ValueType.STRING)
    source = FileSource(
        name="values", path=str(directory / "values.parquet"), timestamp_field="event_timestamp"
    )
    view = FeatureView(
        name="clips",
        entities=[clip],
        ttl=timedelta(days=3650),
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=source,
    )
    store.apply([clip, view])
    store.write_to_online_store("clips", values)
    return store


def measure(kind, online):
    store = store_of(kind, online)
    took = []
    first = None
    for read in range(-5, reads):
        rows = [{"clip": clip} for clip in batches[read % len(batches)]]
        before, cpu = time.perf_counter(), time.process_time()
        response = store.get_online_features(features=asked, entity_rows=rows)
        ms, cpu_ms = (time.perf_counter() - before) * 1000, (time.process_time() - cpu) * 1000
        if read >= 0:
            took.append((ms, cpu_ms))
        if read == 0:
            found = response.to_dict()
            first = [[found[name][row] for name in names] for row in range(len(rows))]

    def at(which, share):
        return sorted(each[which] for each in took)[int(share * len(took))]

    figures = {
        "store": kind,
        "p50Ms": at(0, 0.5),
        "p99Ms": at(0, 0.99),
        "cpuP50Ms": at(1, 0.5),
        "memoryMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "first": first,
    }
    print(json.dumps(figures), flush=True)


sqlite = {"type": "sqlite", "path": str(directory / "online.db")}
measure("sqlite", sqlite)
if redis != "":
    measure("redis", {"type": "redis", "connection_string": redis})
serving = store_of("sqlite", sqlite) if redis == "" else store_of("redis", {"type": "redis", "connection_string": redis})  # fmt: skip
print(json.dumps({"serving": True}), flush=True)
serving.serve(
    host="127.0.0.1",
    port=int(sys.argv[4]),
    type_="http",
    no_access_log=True,
    workers=1,
    worker_connections=100,
    max_requests=0,
    max_requests_jitter=0,
    metrics=False,
    keep_alive_timeout=60,
    tls_key_path="",
    tls_cert_path="",
    registry_ttl_sec=60,
)
