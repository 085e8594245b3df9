"""sbom.py WHEELS SBOM: validates an SBOM against the schema of CycloneDX, and prints each violation."""
import json
import pathlib
import sys

wheels, sbom = sys.argv[1:]
sys.path.insert(0, wheels)
from jsonschema import Draft7Validator, RefResolver  # noqa: E402

BASE = "http://cyclonedx.org/schema/"
directory = pathlib.Path(wheels, "cyclonedx/schema/_res")
schemas = {BASE + path.name: json.loads(path.read_text()) for path in directory.glob("*.json")}
schema = schemas[BASE + "bom-1.6.SNAPSHOT.schema.json"]
validator = Draft7Validator(schema, resolver=RefResolver(BASE, schema, store=schemas))
violations = list(validator.iter_errors(json.loads(pathlib.Path(sbom).read_text())))
for violation in violations:
    print("/".join(map(str, violation.path)), violation.message)
sys.exit(bool(violations))
