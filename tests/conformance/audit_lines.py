"""Lines of the init's log on standard input against the schema that is named: each must be what its kind says. Prints how many there
are of each kind as JSON."""

import collections
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    whole = jsonschema.Draft202012Validator(schema, format_checker=checker)
    kinds, wrong = collections.Counter(), []
    for text in sys.stdin:
        line = json.loads(text)
        kind = line["event"]
        kinds[kind] += 1
        if whole.is_valid(line):
            continue
        # Alone, the kind's own entry says what is wrong; of a choice, only that it fits nowhere.
        entry = {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]} if kind in schema["$defs"] else schema
        errors = list(jsonschema.Draft202012Validator(entry).iter_errors(line)) or list(whole.iter_errors(line))
        wrong.append(f"{text.strip()}\n  {'; '.join(error.message for error in errors)}")
    print(json.dumps(kinds))
    if wrong:
        sys.exit("\n".join(wrong))


main()
