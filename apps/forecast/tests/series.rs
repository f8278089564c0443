//! The program as a person runs it, on series made here.

use rnn_harness::testing::Program;

fn forecast() -> Program {
    Program::new(env!("CARGO_BIN_EXE_forecast"))
}

const SMALL: [&str; 8] = ["--device", "flex", "--hidden", "8", "--epochs", "3", "--window", "14"];

/// Days from 2024-01-01 with a week in them.
fn days(count: usize) -> String {
    let mut text = String::from("day,visits,weather\n");
    for day in 0..count {
        let visits = 100 + [0, 5, 10, 5, 20, 60, 50][day % 7] + day / 10 + (day * 7919) % 13;
        text += &format!("{},{visits},{}\n", date(day), (day * 31) % 17);
    }
    text
}

/// The date `day` days after 2024-01-01, in years of 366, 365, 365 days.
fn date(mut day: usize) -> String {
    let mut year = 2024;
    loop {
        let leap = usize::from(year % 4 == 0);
        for (month, length) in [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
            if day < length {
                return format!("{year}-{:02}-{:02}", month + 1, day + 1);
            }
            day -= length;
        }
        year += 1;
    }
}

#[test]
fn the_sample_is_learned_tested_and_forecast() {
    let program = forecast();
    let args = ["train", "--corpus", "sample", "--json", "--epochs", "8", "--name", "a", "--device", "flex"];
    let trained = program.run(&args).ok();
    let json = trained.json();
    assert_eq!(json["corpus"], "sample");
    let mae = json["mae"].as_f64().expect("a number");
    let naive = json["baselines"]["naive"]["mae"].as_f64().expect("a number");
    assert!(mae < naive, "{mae} {naive}");
    for name in ["mase", "rmse", "smape", "coverage", "validation_mae", "validation_loss", "best_epoch"] {
        assert!(json[name].is_number(), "{name}: {json}");
    }
    assert!(program.folder().join("runs/forecast/a/forecast.svg").exists());
    // The test of the training is the backtest of eval.
    let tested = program.run(&["eval", "--json"]).ok();
    assert_eq!(tested.json()["mae"], json["mae"], "{tested:?}");
    assert_eq!(tested.json()["baselines"], json["baselines"]);
    assert!(tested.stdout.contains("seasonal naive") && tested.stdout.contains("drift"), "{tested:?}");

    let next = program.run(&["predict", "--format", "csv", "--svg", "next.svg"]).ok();
    let lines: Vec<&str> = next.stdout.lines().collect();
    assert_eq!(lines[0], "time,target,forecast,q0.1,q0.5,q0.9");
    assert_eq!(lines.len(), 1 + 7);
    assert!(lines[1].starts_with("2023-06-20,sales,"), "{next:?}");
    let numbers: Vec<f64> = lines[1].split(',').skip(2).map(|x| x.parse().expect("a number")).collect();
    assert!(numbers[1] <= numbers[2] && numbers[2] <= numbers[3] && numbers[0] == numbers[2], "{next:?}");
    let svg = std::fs::read_to_string(program.folder().join("next.svg")).expect("a picture");
    assert!(svg.contains("<polygon") && svg.contains("quantiles 0.1 to 0.9"), "{svg}");
    let json = program.run(&["predict", "--format", "json", "--steps", "2"]).ok().json();
    assert_eq!(json["forecasts"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["after"], "2023-06-19");
    program.run(&["predict", "--steps", "8"]).told("the model forecasts 7 steps; train one with --horizon 8");
}

#[test]
fn a_model_is_exported_with_what_reads_its_series() {
    let program = forecast();
    let args = ["--corpus", "sample", "--anchor", "last", "--linear", "3", "--name", "a"];
    program.run(&[&args[..], &SMALL].concat()).ok();
    let written = program.run(&["export", "--format", "onnx", "--out", "a.onnx", "--int8", "--json"]).ok();
    assert!(written.stdout.contains("a.onnx: ONNX, opset 17"), "{written:?}");
    let json = written.json();
    let (before, after) = (json["mae_float32"].as_f64().expect("it"), json["mae_int8"].as_f64().expect("it"));
    assert!((before - after).abs() < 0.1 * before, "{json}");
    assert!(std::fs::read(program.folder().join("a.onnx")).expect("written").len() > 1000);
    program.run(&["export", "--format", "pytorch", "--out", "a"]).ok();
    let read = |name: &str| std::fs::read_to_string(program.folder().join("a").join(name)).expect("written");
    assert!(read("model.py").contains("return self.dense(state[-1]) + self.beside(x[:, -3:, :1].flatten(1))"));
    let how: serde_json::Value = serde_json::from_str(&read("forecast.json")).expect("JSON");
    assert_eq!(how["columns"], serde_json::json!(["sales", "temperature"]));
    assert_eq!(how["scaling"].as_array().map(Vec::len), Some(2));
    program.run(&["export", "--format", "onnx", "--out", "a.onnx"]).told("--out a.onnx is there already");
}

#[test]
fn several_targets_gaps_and_missing_values_are_told_and_count_for_nothing() {
    let program = forecast();
    let mut rows: Vec<String> = days(220).lines().map(str::to_string).collect();
    rows.remove(101); // the day with number 100
    rows[51] = format!("{},NA,3", date(50));
    program.write("visits.csv", rows.join("\n"));
    let args = ["train", "--data", "visits.csv", "--target", "visits", "--target", "3", "--cell", "lstm", "--json"];
    let ran = program.run(&[&args[..], &SMALL].concat()).ok();
    assert!(ran.stderr.contains("1 row is missing at a step of 1 day: 1 after 2024-04-09 (line 101)"), "{ran:?}");
    assert!(ran.stderr.contains("visits has 1 missing values, the first at 2024-02-20"), "{ran:?}");
    assert_eq!(ran.json()["targets"].as_array().map(Vec::len), Some(2));
    let svg = program.run(&["predict", "--svg", "two.svg"]).ok();
    assert!(svg.stdout.contains("weather"), "{svg:?}");
    let svg = std::fs::read_to_string(program.folder().join("two.svg")).expect("a picture");
    assert_eq!(svg.matches("<svg").count(), 3, "a panel for each target");
    program.run(&[&args[..], &SMALL, &["--missing", "refuse"]].concat()).told("mend them, or say --missing last");
    let seen = program.run(&["inspect", "--data", "visits.csv", "--target", "visits"]).ok();
    assert!(seen.stdout.contains("220 times from 2024-01-01 to 2024-08-07 in a step of 1 day; 1 gaps"), "{seen:?}");
    assert!(seen.stdout.contains("gap: 1 day missing after 2024-04-09 (line 101)"), "{seen:?}");
    // A model of these columns goes on with a longer table.
    program.write("longer.csv", days(300));
    let longer = program.run(&["predict", "--data", "longer.csv", "--format", "json"]).ok();
    assert_eq!(longer.json()["after"], date(299));
    program.run(&["eval", "--data", "longer.csv"]).ok();
}

#[test]
fn wrong_input_is_told() {
    let program = forecast();
    let run = |args: &[&str]| program.run(&[&["train", "--data", "x.csv"], args].concat());
    program.run(&["eval"]).told("no trained model under runs/forecast");
    program.run(&["predict", "--run", "nowhere"]).told("nowhere");
    program.write("x.csv", days(200));
    run(&["--target", "visitors"])
        .told("there is no column \"visitors\"; the columns are \"day\", \"visits\", \"weather\"");
    run(&[]).told("which column is to be forecast? Say --target NAME; there are visits, weather");
    run(&["--target", "visits", "--target", "2"]).told("--target visits is given twice");
    run(&["--target", "visits", "--window", "170"]).told("too few for --window 170 and --horizon 7");
    run(&["--target", "visits", "--horizon", "60"]).told("too few for --window 24 and --horizon 60");
    run(&["--target", "visits", "--quantiles", "0.1,0.9"]).told("--quantiles 0.1,0.9 is not possible");
    run(&["--target", "visits", "--test", "1"]).told("--test 1 is not possible");
    run(&["--target", "visits", "--test", "0.999"]).told("of which 0 are to train");
    // A season as long as the training part has no value a season before.
    run(&["--target", "visits", "--season", "144"]).told("--season 144 is too long");
    program.write("x.csv", days(200).replace(&format!("{},", date(30)), &format!("{},much", date(30))));
    run(&["--target", "visits"]).told("line 32: \"much");
    program.write("x.csv", days(200).replace(&date(30), "2024-01-30 07:00"));
    run(&["--target", "visits"]).told("line 32: the step is irregular: from");
    program.write("x.csv", days(200).replace(&date(30), &date(20)));
    run(&["--target", "visits"]).told("sort the rows by time, with one row a time");
    program.write("x.csv", "day,x\n1/2/2024,3\n2/2/2024,4\n");
    run(&["--time", "day"]).told("can be read with the day or with the month first");
    program.write("x.csv", days(200).replace(",1", ",-1"));
    run(&["--target", "visits", "--log", "true"]).told("--log takes ln(1 + x), which");
    let mut rows: Vec<String> = days(200).lines().map(str::to_string).collect();
    rows[31] = format!("{},1e300,3", date(30));
    program.write("x.csv", rows.join("\n"));
    run(&["--target", "visits"]).told("line 32: 1e300");
    let without = |from: usize| {
        let row = |(number, row): (usize, &str)| match row.split_once(',') {
            Some((day, _)) if number > from => format!("{day},,3\n"),
            _ => format!("{row}\n"),
        };
        days(200).lines().enumerate().map(row).collect::<String>()
    };
    program.write("x.csv", without(160));
    run(&["--target", "visits"]).told("the test part has no value of visits, from 2024-06-09 to");
    program.write("x.csv", without(144));
    run(&["--target", "visits"]).told("the validation part has no value of visits");
    program.write("x.csv", days(1));
    run(&["--target", "visits"]).told("one time has no step");
    program.run(&["--data", "."]).told("this is a folder; give a table in CSV");
    assert!(!program.folder().join("runs").exists());
}

#[test]
fn a_time_that_is_not_read_is_named_and_a_table_without_a_target_is_shown() {
    let program = forecast();
    program.write("x.csv", days(120).replace("2024-", "24-Jan-"));
    let seen = program.run(&["inspect", "--data", "x.csv", "--target", "visits"]).ok();
    assert!(seen.stderr.contains("\"day\" is not read as the time: \"24-Jan-01-01\" is not written as"), "{seen:?}");
    let quiet = program.run(&["inspect", "--data", "x.csv", "--target", "visits", "--time", "none"]).ok();
    assert!(!quiet.stderr.contains("not read"), "{quiet:?}");
    program.write("x.csv", "Year,month,x\n2020,1,3\n2020,2,4\n2020,3,5\n");
    let parts = program.run(&["inspect", "--data", "x.csv", "--target", "x"]).ok();
    assert!(parts.stderr.contains("so each row is a step (--time Year,month, or --time none)"), "{parts:?}");
    program.write("x.csv", days(120));
    let open = program.run(&["inspect", "--data", "x.csv"]).ok();
    assert!(open.stdout.contains("120 times from 2024-01-01 to 2024-04-29 in a step of 1 day; 0 gaps"), "{open:?}");
    assert!(open.stdout.contains("the column to forecast: visits, weather"), "{open:?}");
}

#[test]
fn a_longer_table_is_tested_behind_what_the_model_has_learnt_and_another_step_is_refused() {
    let program = forecast();
    program.write("x.csv", days(200));
    let args = ["--data", "x.csv", "--target", "visits", "--device", "flex", "--hidden", "4", "--name", "a"];
    let often = ["--epochs", "60", "--patience", "1", "--learning-rate", "0.1"];
    let trained = program.run(&[&args[..], &often].concat()).ok();
    assert!(trained.stdout.contains("no lower validation loss in 1 epoch\n"), "{trained:?}");
    let read = |name: &str| std::fs::read_to_string(program.folder().join(name)).expect("written");
    let report = read("runs/forecast/a/report.html");
    assert!(report.contains("<th>in band</th>") && !report.contains("baselines"), "{report}");
    program.write("x.csv", days(230));
    let tested = program.run(&["eval", "--html", "x.html", "--json"]).ok();
    assert!(tested.stderr.contains("the series goes on for 30 days after the training's"), "{tested:?}");
    assert_eq!(tested.json()["origins"], 64, "70 days of which the last 7 are no origins"); // and the day before
    let page = read("x.html");
    assert!(
        page.contains("<h2>Test of visits</h2>") && page.contains(">2024-08-10<") && page.contains("<svg"),
        "{page}"
    );
    program.write("y.csv", days(230));
    let known = program.run(&["eval", "--data", "y.csv"]).ok();
    assert!(known.stderr.contains("trained on the first 200 rows of this table"), "{known:?}");
    let hours = |day: usize| format!("2024-02-{:02} {:02}:00,{},1\n", 1 + day / 24, day % 24, day % 9);
    program.write("hours.csv", format!("day,visits,weather\n{}", (0..200).map(hours).collect::<String>()));
    for command in ["eval", "predict"] {
        program
            .run(&[command, "--data", "hours.csv"])
            .told("has a step of 1 hour, but the model was trained at a step of 1 day");
    }
}

#[test]
fn a_series_that_does_not_change_has_no_mase_and_nothing_need_be_validated_on() {
    let program = forecast();
    let rows: String = (0..200).map(|day| format!("{},0.1\n", date(day))).collect();
    program.write("x.csv", format!("day,x\n{rows}"));
    let ran = program.run(&[&["--data", "x.csv", "--validation", "0", "--json"], &SMALL[..]].concat()).ok();
    assert!(ran.stdout.contains("MASE has no scale: the training part does not change over a season\n"), "{ran:?}");
    let json = ran.json();
    assert!(json["mase"].is_null() && json["validation_loss"].is_null() && json["mae"].is_number(), "{json}");
}

#[test]
fn half_storage_is_kept_with_the_run() {
    forecast().half_storage_is_kept(&[&["train", "--corpus", "sample"], &SMALL[2..]].concat(), &["predict"]);
}

#[test]
fn times_with_offsets_are_told_in_utc() {
    let program = forecast();
    let hours = |zone: &str| {
        let row = |hour: usize| format!("2024-02-{:02}T{:02}:00:00{zone},{}\n", 1 + hour / 24, hour % 24, hour % 24);
        format!("time,x\n{}", (0..300).map(row).collect::<String>())
    };
    program.write("x.csv", hours("+02:00"));
    let seen = program.run(&["inspect", "--data", "x.csv"]).ok();
    let line = "times are read in UTC, as are their hours and days: 2024-02-01T00:00:00+02:00 is 2024-01-31 22:00\n";
    assert!(seen.stderr.contains(line), "{seen:?}");
    assert!(
        seen.stdout.contains("300 times from 2024-01-31 22:00 to 2024-02-13 09:00 in a step of 1 hour"),
        "{seen:?}"
    );
    program.write("x.csv", hours("+02:00").replace("T05:00:00+02:00", "T05:00:00"));
    program
        .run(&["inspect", "--data", "x.csv"])
        .told("line 7: \"2024-02-01T05:00:00\" in column \"time\" has no offset");
}

/// With checkpoints and validations within the epochs, dropout, the average of the weights and two devices.
#[cfg(unix)]
#[test]
fn a_killed_training_is_resumed_to_the_same_bits() {
    let args = ["--corpus", "sample", "--device", "flex", "--hidden", "24", "--epochs", "4", "--dropout", "0.1"];
    let more = ["--average", "0.99", "--schedule", "cosine", "--checkpoint-every", "7", "--patience", "9"];
    let often = ["--validate-every", "5", "--device", "flex"];
    forecast().kill_and_resume(&[&args[..], &more, &often].concat(), 8, 3);
}

#[test]
fn what_a_run_folder_says_is_checked() {
    let program = forecast();
    program.run(&[&["--corpus", "sample", "--name", "a"], &SMALL[..]].concat()).ok();
    let config = std::fs::read_to_string(program.folder().join("runs/forecast/a/config.json")).expect("there");
    for (from, to, what) in [
        ("\"hidden\": 8", "\"hidden\": 5000", "but model.bpk has only"),
        ("\"window\": 14", "\"window\": 0", "--window 0: too small"),
        ("\"features\": ", "\"features\": 1", "the model's sizes are not those of its columns"),
        ("\"deviation\": ", "\"deviation\": -", "a scaling is not finite"),
        ("\"mean\": ", "\"mean\": 9999999999999999999999999999999", "a scaling is not finite"),
        ("\"mean\": ", "\"mean\": 9999999999", "is too far from the values that the model was trained on"),
        ("\"seconds\": 86400", "\"seconds\": 3600", "but the model was trained at a step of 1 hour"),
        ("\"seasons\": [\n      7", "\"seasons\": [\n      100000", "a forecast needs 100014 rows before it"),
        ("\"time\": [\n      \"date\"\n    ]", "\"time\": []", "but the model was trained at a step of 1 day"),
        ("\"test\": 0.2", "\"test\": 2.5", "--test 2.5 is not possible"),
    ] {
        assert!(config.contains(from), "{config}");
        program.forge("runs/forecast/a", "config.json", config.replacen(from, to, 1));
        program.run(&["eval", "--run", "runs/forecast/a"]).told(what);
    }
}
