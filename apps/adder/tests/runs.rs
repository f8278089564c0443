//! What every program does with its runs: listed, compared, searched, reported; adder trains fastest.

use rnn_harness::testing::Program;

fn adder() -> Program {
    Program::new(env!("CARGO_BIN_EXE_adder"))
}

fn read(adder: &Program, path: &str) -> String {
    std::fs::read_to_string(adder.folder().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn a_run_has_its_figures_curves_settings_and_report() {
    let adder = adder();
    let json = adder.run(&["--name", "a", "--cell", "gru", "--json"]).ok().json();
    let epochs = read(&adder, "runs/adder/a/metrics.jsonl");
    assert_eq!(epochs.lines().count(), json["epochs"].as_array().expect("epochs").len());
    let last: serde_json::Value = serde_json::from_str(epochs.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["validation_accuracy"], 1.0);
    assert_eq!(last["validation_loss"], json["validation_loss"]);
    let summary: serde_json::Value = serde_json::from_str(&read(&adder, "runs/adder/a/summary.json")).expect("JSON");
    assert_eq!(summary, json);
    let report = read(&adder, "runs/adder/a/report.html");
    for part in ["validation_loss", "model.cell", "<svg", ">gru<"] {
        assert!(report.contains(part), "{part}");
    }
    assert!(!report.contains("src=") && !report.contains("href="), "nothing from elsewhere");
    assert_eq!(read(&adder, "runs/adder/a/settings.toml"), "cell = \"gru\"\n");
    // The settings of a run make the same run.
    adder.run(&["train", "--config", "runs/adder/a/settings.toml", "--name", "b"]).ok();
    let model = |name| std::fs::read(adder.folder().join(name)).expect("a model");
    assert_eq!(model("runs/adder/a/model.bpk"), model("runs/adder/b/model.bpk"));
    adder.write("wrong.toml", "cell = \"gru\"\nhiden = 3\n");
    adder.run(&["train", "--config", "wrong.toml"]).told("--config wrong.toml: there is no option hiden");
    adder.write("wrong.toml", "cell = \"tree\"\n");
    adder.run(&["train", "--config", "wrong.toml"]).told("--cell tree: there is no such value");
}

#[test]
fn a_sweep_trains_every_combination_once_and_compares_them() {
    let adder = adder();
    let sweep = ["sweep", "cell=rnn,gru", "hidden=8,16", "--name", "s", "--", "--steps", "250"];
    let first = adder.run(&sweep).ok().stdout;
    assert!(first.contains("4 of 4 combinations, the lowest validation loss first:"), "{first}");
    for part in ["s-cell-gru-hidden-16", "s-cell-rnn-hidden-8", "validation loss"] {
        assert!(first.contains(part), "{part}\n{first}");
    }
    assert!(read(&adder, "runs/adder/s.html").contains("<svg"));
    let again = adder.run(&sweep).ok();
    assert_eq!((again.stdout, again.stderr.contains("1 of 4")), (first, false), "nothing is trained twice");
    let listed = adder.run(&["runs", "--json"]).ok().json();
    assert_eq!(listed["runs"].as_array().expect("runs").len(), 4);
    let names = ["s-cell-gru-hidden-8", "runs/adder/s-cell-rnn-hidden-8"];
    let compared = adder.run(&["compare", names[0], names[1], "--svg", "c.svg"]).ok().stdout;
    let header = compared.lines().next().expect("a header");
    assert!(header.contains("cell") && !header.contains("hidden") && header.contains("validation loss"), "{compared}");
    assert!(read(&adder, "c.svg").contains(names[0]));
    adder.run(&["compare", names[0], "none"]).told("there is no run none here or under runs/adder");
    // Other settings are not answered with these runs' figures, and no training begins before all values are checked.
    let other = ["sweep", "cell=rnn,gru", "hidden=8,16", "--name", "s", "--", "--steps", "300"];
    adder.run(&other).told("was made with --steps 250, not 300; choose another --name");
    let checked = adder.run(&["sweep", "cell=gru,tree", "--name", "t"]);
    assert!(!adder.folder().join("runs/adder/t-cell-gru").exists());
    checked.told("--cell tree: there is no such value");
    adder.run(&["sweep", "cell=gru,gru", "--name", "t"]).told("gru is there twice");
    // A run's name does for --run, a finished run says so, and one without checkpoints is not begun again.
    adder.run(&["ask", "1", "2", "--run", names[0]]).ok();
    let finished = adder.run(&["--resume", names[1]]).ok().stderr;
    assert!(finished.contains("was finished already"), "{finished}");
    std::fs::remove_dir_all(adder.folder().join(names[1]).join("checkpoints")).expect("deleted");
    adder.run(&["--resume", names[1]]).told("this training is finished and its checkpoints are gone");
    // Runs of another program, and curves that are gone.
    std::fs::remove_file(adder.folder().join(names[1]).join("metrics.jsonl")).expect("deleted");
    let lacks = adder.run(&["compare", names[0], names[1]]).ok().stderr;
    assert!(lacks.contains("s-cell-rnn-hidden-8 has no curve: cannot read"), "{lacks}");
    let config = read(&adder, "runs/adder/s-cell-rnn-hidden-8/config.json").replace("\"adder\"", "\"chargen\"");
    adder.forge(names[1], "config.json", config);
    adder.run(&["compare", names[0], names[1]]).told("is a run of chargen, whose figures mean something else");
    adder.run(&["sweep", "cell"]).told("cell: write an option of train and its values, such as cell=lstm,gru");
    let refused = adder.run(&["sweep", "cell=tree,oak", "--name", "t"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("--cell tree: there is no such value") && !refused.stderr.contains("oak"),
        "{refused:?}"
    );
}

#[test]
fn a_loss_that_grows_ends_the_training_and_names_what_stays() {
    let adder = adder();
    let bad = ["--optimizer", "sgd", "--learning-rate", "500", "--name", "bad"];
    let ran = adder.run(&bad);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the loss grew from ") && ran.stderr.contains("with the learning rate 500"),
        "{}",
        ran.stderr
    );
    assert!(!adder.folder().join("runs/adder/bad").exists(), "it came to nothing");
}

/// A signal to the sweep alone reaches the training, which writes its checkpoint; nothing of the sweep goes on.
#[cfg(unix)]
#[test]
fn a_sweep_that_is_asked_to_end_ends_with_its_training() {
    let adder = adder();
    let sweep = ["sweep", "cell=rnn,gru", "--name", "s", "--", "--hidden", "1", "--steps", "1000000"];
    let ran = adder.run_signalled(&sweep, "epoch 1/", "TERM");
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("interrupted: the same command continues the sweep"), "{}", ran.stderr);
    assert!(ran.stderr.contains("of which there is a checkpoint"), "{}", ran.stderr);
    assert!(!adder.folder().join("runs/adder/s-cell-gru").exists());
}

#[cfg(unix)]
#[test]
fn a_run_folder_that_is_deleted_ends_its_training() {
    let adder = adder();
    let mut running = adder.start(&["--hidden", "1", "--steps", "1000000", "--name", "gone"]);
    running.until("epoch 1/");
    let folder = adder.folder().join("runs/adder/gone");
    while folder.exists() && std::fs::remove_dir_all(&folder).is_err() {}
    let ran = running.end();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("is gone") || ran.stderr.contains("No such file"), "{}", ran.stderr);
}
