"""A peer of `cargo xtask bench`: one JSON object a line comes in on stdin, one goes out on stdout.

    {"do": "prepare", "slot": 0, "spec": {"task": "layer", ...}}  ->  {"ok": true}
    {"do": "run", "slot": 0, "calls": 10}                         ->  {"seconds": 0.123}, all calls together
    {"do": "clear"}                                               ->  {"ok": true}
    {"do": "rss"}                                                 ->  {"mb": 842.0}, the peak; null where unknown

It stays warm between requests and waits on stdin without working, so that it never runs beside what it is compared with.
`peer.py ENGINE save|load FILE` is the start-up test: a whole process that makes a model, loads it and answers once.
"""

import importlib
import json
import os
import sys


def peak_mb():
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def serve(engine, answers):
    slots = {}

    def answer(request):
        what = request["do"]
        if what == "prepare":
            slots[request["slot"]] = engine.prepare(request["spec"])
        elif what == "run":
            return {"seconds": slots[request["slot"]](request["calls"])}
        elif what == "clear":
            slots.clear()
        elif what == "rss":
            return {"mb": peak_mb()}
        else:
            raise ValueError(f"unknown request {what}")
        return {"ok": True}

    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:  # the bench says it and goes on
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=answers, flush=True)


def main():
    # What libraries print on stdout must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = importlib.import_module(sys.argv[1] + "_peer")
    if len(sys.argv) == 4:
        engine.startup(sys.argv[2], sys.argv[3])
    else:
        serve(engine, answers)


if __name__ == "__main__":
    main()
