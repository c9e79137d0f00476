"""The deployment manifest: what runs where, the hashes of the images, and what to expect of them.

``manifest.json`` is the contract between a build and everything that uses one (run, flash, report). Its
JSON Schema is published in ``docs/manifest-schema.json``. Paths are relative to the build folder.
"""

from synergyc.manifest.document import (
    Manifest,
    device_keys,
    find_device,
    manifest_schema,
    secured_pairs,
)
from synergyc.manifest.files import (
    MANIFEST_NAME,
    REPORT_NAME,
    checked_bytes,
    read_manifest,
    record_file,
)
from synergyc.manifest.records import (
    AccuracyRecord,
    AlternativeRecord,
    AppRecord,
    DeviceRecord,
    DifferenceRecord,
    FileRecord,
    HandOffRecord,
    ImagePlanRecord,
    LinkRecord,
    LoadRecord,
    PlacementRecord,
    PlanLoadRecord,
    PowerRecord,
    PredictionRecord,
    RejectedRecord,
    SecuredRecord,
    SegmentRecord,
    SwitchRecord,
    TensorRecord,
    TermRecord,
    WarningRecord,
)

__all__ = [
    "MANIFEST_NAME",
    "REPORT_NAME",
    "AccuracyRecord",
    "AlternativeRecord",
    "AppRecord",
    "DeviceRecord",
    "DifferenceRecord",
    "FileRecord",
    "HandOffRecord",
    "ImagePlanRecord",
    "LinkRecord",
    "LoadRecord",
    "Manifest",
    "PlacementRecord",
    "PlanLoadRecord",
    "PowerRecord",
    "PredictionRecord",
    "RejectedRecord",
    "SecuredRecord",
    "SegmentRecord",
    "SwitchRecord",
    "TensorRecord",
    "TermRecord",
    "WarningRecord",
    "checked_bytes",
    "device_keys",
    "find_device",
    "manifest_schema",
    "read_manifest",
    "record_file",
    "secured_pairs",
]
