//! The program as a person runs it.

use rnn_harness::testing::Program;
#[cfg(unix)]
use rnn_harness::testing::ignores_hangup;
use std::ffi::OsStr;

fn adder() -> Program {
    Program::new(env!("CARGO_BIN_EXE_adder"))
}

/// The lesson's ten reports: error, predicted bits, right bits, sum.
const LESSON: [[&str; 4]; 10] = [
    ["3.45638663", "0 0 0 0 0 0 0 1", "0 1 0 0 0 1 0 1", "9 + 60 = 1"],
    ["3.63389116", "1 1 1 1 1 1 1 1", "0 0 1 1 1 1 1 1", "28 + 35 = 255"],
    ["3.91366595", "0 1 0 0 1 0 0 0", "1 0 1 0 0 0 0 0", "116 + 44 = 72"],
    ["3.72191702", "1 1 0 1 1 1 1 1", "0 1 0 0 1 1 0 1", "4 + 73 = 223"],
    ["3.5852713", "0 0 0 0 1 0 0 0", "0 1 0 1 0 0 1 0", "71 + 11 = 8"],
    ["2.53352328", "1 0 1 0 0 0 1 0", "1 1 0 0 0 0 1 0", "81 + 113 = 162"],
    ["0.57691441", "0 1 0 1 0 0 0 1", "0 1 0 1 0 0 0 1", "81 + 0 = 81"],
    ["1.42589952", "1 0 0 0 0 0 0 1", "1 0 0 0 0 0 0 1", "4 + 125 = 129"],
    ["0.47477457", "0 0 1 1 1 0 0 0", "0 0 1 1 1 0 0 0", "39 + 17 = 56"],
    ["0.21595037", "0 0 0 0 1 1 1 0", "0 0 0 0 1 1 1 0", "11 + 3 = 14"],
];

#[test]
fn scratch_prints_the_lessons_reports_to_the_last_digit() {
    let blocks = LESSON.map(|[error, predicted, right, sum]| {
        format!("Error:[{error}]\nPred:[{predicted}]\nTrue:[{right}]\n{sum}\n-----\n")
    });
    assert_eq!(adder().run(&["scratch", "--seed", "0"]).ok().stdout, blocks.concat());
    let json = adder().run(&["scratch", "--json"]).ok().json();
    assert_eq!(json["seed"], 0);
    assert_eq!(format!("{:.8}", json["error"].as_f64().expect("number")), "0.21595037");
}

#[test]
fn scratch_shows_its_steps_and_checks_its_gradients() {
    let trace = adder().run(&["scratch", "--trace", "--iterations", "1"]).ok().stdout;
    let steps: Vec<&str> = trace.lines().take(8).collect();
    // 9 + 60: only the bit 8 is set in both.
    assert!(steps[0].starts_with("1 + 0, carry 0: [") && steps[0].ends_with(", right 1"), "{trace}");
    assert!(steps[3].starts_with("1 + 1, carry 0: ["), "{trace}");
    assert!(steps[4].starts_with("0 + 1, carry 1: [") && steps[4].ends_with(", right 0"), "{trace}");
    let check = adder().run(&["scratch", "--check"]).ok().stdout;
    assert!(check.starts_with("the gradients of BPTT differ from differences of the loss by at most "), "{check}");
    adder().run(&["scratch", "--learning-rate", "0"]).told("--learning-rate 0.0 is not possible");
    let slow = adder().run(&["scratch", "--learning-rate", "0.001", "--json"]).ok().json();
    assert!(slow["error"].as_f64().expect("a number") > 2.0, "{slow}");
}

#[test]
fn every_cell_learns_to_add_and_another_process_asks_it() {
    let adder = adder();
    for cell in ["rnn", "lstm", "gru"] {
        // `train` is the default.
        let json = adder.run(&["--cell", cell, "--name", cell, "--json", "--device", "flex"]).ok().json();
        assert_eq!((&json["wrong"], &json["pairs"]), (&0.into(), &16_384.into()), "{cell}");
        assert_eq!((&json["corpus"], &json["device"]), (&"additions".into(), &"flex".into()));
        assert!(json["train_seconds"].as_f64().expect("number") < 20.0);
        let run = format!("runs/adder/{cell}");
        let answer = adder.run(&["ask", "57", "66", "--run", &run]).ok().stdout;
        assert_eq!(answer, "  0 0 1 1 1 0 0 1   57\n+ 0 1 0 0 0 0 1 0   66\n= 0 1 1 1 1 0 1 1   123\n");
    }
    assert_eq!(adder.run(&["ask", "100", "27", "--json"]).ok().json()["answer"], 127); // the newest run
    adder.run(&["--name", "rnn"]).told("runs/adder/rnn is there already and runs are never overwritten");
    adder.run(&["ask", "57", "128"]).told("this model adds numbers from 0 to 127");
}

/// 57 + 71 carries a one through every step; the network does not see the carry.
#[test]
fn an_addition_is_watched_and_longer_ones_are_tried() {
    let adder = adder();
    let json = adder.run(&["--name", "a", "--device", "flex", "--json"]).ok().json();
    assert_eq!(json["wrong"], 0);
    let watched = adder.run(&["watch", "57", "71", "--svg", "w.svg", "--html", "w.html", "--json"]).ok().json();
    assert_eq!((&watched["answer"], &watched["right"]), (&128.into(), &true.into()));
    let steps = watched["steps"].as_array().expect("a list");
    let carries: Vec<u64> = steps.iter().map(|step| step["carry_in"].as_u64().expect("a bit")).collect();
    assert_eq!(carries, [0, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(steps[0]["hidden"].as_array().expect("a list").len(), 16);
    let read = |name: &str| std::fs::read_to_string(adder.folder().join(name)).expect("written");
    assert!(read("w.svg").starts_with("<svg") && read("w.svg").contains("unit 15"));
    assert!(read("w.html").contains(&read("w.svg")));
    adder.run(&["watch", "1", "2", "--svg", "nowhere/w.svg"]).told("cannot write nowhere/w.svg");
    adder.run(&["watch", "128", "2"]).told("this model adds numbers from 0 to 127");

    let table = ["generalise", "--run", "runs/adder/a", "--trials", "500", "--svg", "g.svg", "--json"];
    let table = adder.run(&table).ok().json();
    assert_eq!(table["networks"][0]["right"], serde_json::json!([500, 500, 500, 500]));
    let chart = read("g.svg");
    assert!([">8<", ">16<", ">32<", ">64<", ">100<", "bits of the operands"].iter().all(|text| chart.contains(text)));
    assert!(!chart.contains(">105<") && !chart.contains(">20<"), "{chart}");
    adder.run(&["generalise", "--name", "b"]).told("add --cell");

    let seen = adder.run(&["inspect", "--json"]).ok().json();
    assert_eq!((&seen["pairs"], &seen["longest_carry"]), (&16_384.into(), &7.into()));
}

#[test]
fn numbers_of_64_bits_are_added() {
    let adder = adder();
    let json = adder.run(&["--preset", "long", "--name", "long", "--device", "flex", "--json"]).ok().json();
    assert_eq!((&json["bits"], &json["wrong"], &json["pairs"]), (&65.into(), &0.into(), &10_000.into()));
    let most = u64::MAX.to_string();
    let answer = adder.run(&["ask", &most, "1"]).ok().stdout;
    assert!(answer.ends_with("   18446744073709551616\n"), "{answer}");
    adder.run(&["--lengths", "4..66"]).told("give numbers from 2 to 65");
    adder.run(&["--lengths", "4..9"]).told("--lengths 4..9 is not possible; give numbers from 2 to 8 (--bits)");
}

#[test]
fn wrong_input_is_told() {
    let adder = adder();
    adder.run(&["ask", "1", "2"]).told("no trained model under runs/adder");
    adder.run(&["ask", "1", "2", "--run", "nowhere"]).told("--run nowhere holds no model.bpk");
    adder.run(&["--device", "tpu"]).told("the names are flex, ndarray, wgpu[:N], vulkan[:N], cuda[:N] and auto");
    adder.run(&["--bits", "99"]).told("error: --bits 99: too large; give a whole number from 2 to 65 (--help");
    adder.run(&["--hidden", "x"]).told("--hidden x: not a whole number; give a whole number from 1 to 4096 (--help");
    adder
        .run(&["--cell", "tree"])
        .told("--cell tree: there is no such value; the values are rnn, lstm, gru, mingru, minlstm (--help");
    adder.run(&["--hidden", "4096", "--batch", "65536"]).told("lower --batch, --bits or --hidden");
    adder.run(&["--frobnicate"]).told("there is no option --frobnicate (--help");
    adder.run(&["--momentum", "-0.1"]).told("--momentum -0.1 is not possible");
    for rate in ["0.0", "1e300", "1e-50", "-0.1"] {
        adder.run(&["--learning-rate", rate]).told(&format!("--learning-rate {rate} is not possible"));
    }
    adder.run(&["--bits", "-1"]).told("--bits -1: too small; give a whole number from 2 to 65 (--help");
    adder.run(&["scratch", "--iterations", "0"]).told("--iterations 0: too small; give a whole number from 1 to");
    adder.run(&["scratch", "--cell", "lstm"]).told("--cell is an option of train and generalise, not of scratch");
    adder.run(&["ask", "1"]).told("missing: <B>; write adder ask");
    adder.write("file", "");
    let in_a_file = [("RNN_RUNS", OsStr::new("file"))];
    adder.run_with(&["--steps", "1"], "", &in_a_file).told("set RNN_RUNS to a folder that can be written");
    let threads = [("RAYON_NUM_THREADS", OsStr::new("100000"))];
    adder.run_with(&["--steps", "1"], "", &threads).told("RAYON_NUM_THREADS=100000 is not possible; give 1 to 1024");
    assert!(!adder.folder().join("runs").exists());
}

#[test]
fn training_that_diverges_is_told() {
    let adder = adder();
    let ran = adder.run(&["--optimizer", "sgd", "--learning-rate", "1e38", "--name", "a"]);
    assert!(!adder.folder().join("runs/adder/a").exists(), "it left nothing behind");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("training has diverged; try a smaller learning rate or clip the norm of the gradients (--learning-rate, --clip-norm)"), "{ran:?}");
}

/// How a line begins once there was a step.
#[cfg(unix)]
const STEPS: &str = "epoch 1/40000  step 1/250";

#[cfg(unix)]
#[test]
fn a_signal_keeps_the_model() {
    let adder = adder();
    for signal in ["INT", "TERM", "HUP"].into_iter().filter(|&signal| signal != "HUP" || !ignores_hangup()) {
        // One unit does not learn it.
        let ran = adder.run_signalled(&["--hidden", "1", "--steps", "10000000", "--name", signal], STEPS, signal);
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(ran.stderr.lines().last().is_some_and(|line| line.starts_with("interrupted: after step ")), "{ran:?}");
        let resume = format!("resume it with --resume runs/adder/{signal}");
        assert!(ran.stderr.contains(&resume), "{ran:?}");
        let asked = adder.run(&["ask", "1", "2", "--run", &format!("runs/adder/{signal}")]).ok();
        assert!(asked.stderr.contains("its training did not come to its end"), "{asked:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let adder = adder();
    for signal in ["HUP", "INT"] {
        let args = ["--hidden", "1", "--steps", "10000000", "--name", signal];
        let mut running = adder.start_ignoring(signal, &args);
        running.until(STEPS);
        running.signal(signal);
        running.until("epoch "); // it goes on
        running.signal("TERM");
        let ran = running.end();
        assert_eq!(ran.code, Some(130), "{ran:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_a_kill_left_may_be_used_again_by_one_training() {
    let adder = adder();
    let long = ["--hidden", "1", "--steps", "10000000", "--name", "a"];
    // Killed at its first step, before the first checkpoint.
    let ran = adder.run_signalled(&long, "epoch ", "KILL");
    assert_eq!(ran.code, None, "{ran:?}");
    let run = adder.folder().join("runs/adder/a");
    let model = run.join("model.bpk");
    let forget_checkpoint = || {
        let _ = std::fs::remove_dir_all(run.join("checkpoints")); // it may not be there
        let _ = std::fs::remove_file(&model);
        assert!(run.join("config.json").exists());
    };
    forget_checkpoint();

    let mut running = adder.start(&long);
    running.until(STEPS);
    adder.run(&["--name", "a"]).told("another process is training in runs/adder/a now; choose another --name");
    running.signal("KILL");
    running.end();
    forget_checkpoint();

    // Of many at once one has it; the others leave it alone.
    let short = ["--steps", "1", "--name", "a"];
    let all: Vec<_> = (0..6).map(|_| adder.start(&short)).collect();
    let all: Vec<_> = all.into_iter().map(|running| running.end()).collect();
    assert_eq!(all.iter().filter(|ran| ran.code == Some(0)).count(), 1, "{all:#?}");
    for ran in all.into_iter().filter(|ran| ran.code != Some(0)) {
        ran.told("choose another --name");
    }
    assert!(model.exists());
    adder.run(&["ask", "1", "2"]).ok();
}

/// Together with the same test of sentiment and chargen, 50 kills.
#[cfg(unix)]
#[test]
fn a_killed_training_is_resumed_to_the_same_bits() {
    let args = ["--device", "flex", "--hidden", "12", "--steps", "1500", "--checkpoint-every", "90"];
    adder().kill_and_resume(&args, 17, 1);
}

#[test]
fn what_a_run_folder_says_is_checked() {
    let adder = adder();
    adder.run(&["--steps", "1", "--name", "a", "--device", "flex"]).ok();
    let config = std::fs::read_to_string(adder.folder().join("runs/adder/a/config.json")).expect("there");
    for (from, to, what) in [
        ("\"bits\": 8", "\"bits\": 0", "--bits 0: too small; give a whole number from 2 to 65"),
        ("\"bits\": 8", "\"bits\": 66", "--bits 66: too large"),
        ("\"bits\": 8", "\"bits\": -1", "config.json is not what this program writes"),
        ("\"bits\": 8", "\"bits\": 8, \"bits\": 9", "duplicate field"),
        ("\"hidden\": 16", "\"hidden\": 0", "--hidden 0: too small"),
        ("\"hidden\": 16", "\"hidden\": 1000000", "--hidden 1000000: too large; give a whole number from 1 to 4096"),
        ("\"hidden\": 16", "\"hidden\": 2048", "but model.bpk has only"),
        ("\"hidden\": 16", "\"hidden\": 17", "model.bpk is damaged or of another model"),
        ("\"hidden\": 16", "\"hidden\": 1e400", "config.json is not what this program writes"),
        ("\"batch\": 64", "\"batch\": 0", "--batch 0: too small"),
        ("\"rnn\"", "\"\\u001b[31mtree\"", "\\u{1b}[31mtree"),
        ("0.001", "-1.0", "--learning-rate -1.0 is not possible"),
        ("\"accumulate\": 1", "\"accumulate\": 0", "--accumulate 0 is not possible"),
        ("\"format\": 2,", "", "an earlier version of this program made this run, which this one cannot read"),
        ("\"format\": 2", "\"format\": 3", "its format is 3, but this version of the program reads 2"),
    ] {
        assert!(config.contains(from), "{config}");
        adder.forge("runs/adder/a", "config.json", config.replacen(from, to, 1));
        let ran = adder.run(&["ask", "1", "2", "--run", "runs/adder/a"]);
        assert!(!ran.stderr.trim_end().contains(|c: char| c.is_control() && c != '\n'), "{ran:?}");
        ran.told(what);
        adder.run(&["--resume", "runs/adder/a"]).told("runs/adder/a/");
    }
    adder.forge("runs/adder/a", "config.json", &config);
    std::fs::remove_file(adder.folder().join("runs/adder/a/checksums.json")).expect("there");
    adder.run(&["ask", "1", "2"]).told("runs/adder/a has no checksums.json");
}
