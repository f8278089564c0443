//! Training, interrupting, resuming, stopping early.

mod common;

use burn::tensor::Device;
use burn::train::Interrupter;
use common::{Model, Notes, Watch, batches, bytes, model, no_hooks, plan};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Ended, EpochRecord, Flow, Outcome, Plan, Schedule, Shape, TrainError, TrainState, Training, evaluate};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// 50 sequences in mini-batches of 8: 7 steps an epoch.
const STEPS: u64 = 7;

fn training(plan: Plan) -> Training<Model> {
    Training::new(plan, batches(50, 8, 1)).with_validation(Some(batches(20, 8, 5)))
}

fn run(training: Training<Model>, resume: bool) -> Outcome<Model> {
    let state = training.state(model(3), resume).expect("a state");
    training.run(state, Box::new(Notes::default()), no_hooks()).expect("trained")
}

fn figures(state: &TrainState<Model>) -> Vec<(usize, u64, u64, u64)> {
    let bits = |record: &EpochRecord| {
        let validation = record.validation.as_ref().expect("validated");
        (record.epoch, record.train.loss.to_bits(), validation.loss.to_bits(), validation.others[0].to_bits())
    };
    state.history().iter().map(bits).collect()
}

/// Stopped after each of all its steps in turn, and resumed from its checkpoint in a new training.
#[test]
fn a_training_that_was_stopped_anywhere_ends_in_the_same_bits() {
    let shapes = [
        plan(3),
        Plan { schedule: Schedule { shape: Shape::Cosine, warm_up: 4 }, ..plan(3) },
        Plan { average: Some(0.9), ..plan(3) },
        Plan { accumulate: 3, ..plan(3) },
        Plan { max_steps: Some(17), ..plan(3) },
    ];
    for plan in shapes {
        let mut whole = run(training(plan), false);
        assert_eq!(whole.ended, Ended::Complete);
        let expected = (bytes(&whole.state.model()), bytes(&whole.model()), figures(&whole.state));
        for stop in [1, 3, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS - 5] {
            let folder = tempfile::tempdir().expect("folder");
            let begun = || training(plan).with_checkpoints(folder.path().join("checkpoints"), Some(2));
            let steps = Rc::new(Cell::new(0));
            let asked = {
                let steps = steps.clone();
                move || {
                    steps.set(steps.get() + 1);
                    steps.get() >= stop
                }
            };
            let stopped = run(begun().with_interrupter(Interrupter::new(), asked), false);
            assert_eq!(stopped.ended, Ended::Interrupted, "{stop}");
            let mut resumed = run(begun(), true);
            assert_eq!(resumed.ended, Ended::Complete);
            let found = (bytes(&resumed.state.model()), bytes(&resumed.model()), figures(&resumed.state));
            assert!(found == expected, "{plan:?} stopped after {stop}");
            assert_eq!(resumed.state.step(), whole.state.step());
        }
    }
}

/// The devices of a training change its bits neither in one go nor where it is stopped.
#[test]
fn several_devices_train_as_one_that_accumulates() {
    let on = |devices: usize, plan: Plan| training(plan).with_devices(vec![Device::default(); devices]);
    for (devices, accumulate) in [(2, 2), (3, 3), (2, 3)] {
        let plan = Plan { accumulate, ..plan(2) };
        let mut one = run(training(plan), false);
        let mut several = run(on(devices, plan), false);
        assert_eq!(several.ended, Ended::Complete);
        assert!(bytes(&several.state.model()) == bytes(&one.state.model()), "{devices} devices");
        assert_eq!(figures(&several.state), figures(&one.state));
        let folder = tempfile::tempdir().expect("folder");
        let saved = |training: Training<Model>| training.with_checkpoints(folder.path().join("checkpoints"), None);
        run(saved(on(devices, plan)).with_interrupter(Interrupter::new(), || true), false);
        let mut resumed = run(saved(training(plan)), true);
        assert!(bytes(&resumed.state.model()) == bytes(&one.state.model()), "{devices} devices, then one");
    }
    let error = on(3, Plan { accumulate: 2, ..plan(1) }).state(model(3), false).expect_err("one has no work");
    assert!(error.to_string().starts_with("devices are 3, but an update takes 2 mini-batches"), "{error}");
}

/// Validations within epochs change no weight, and one that an interruption prevented is made after resuming.
#[test]
fn validations_within_epochs_keep_the_best_model_and_change_nothing_else() {
    for accumulate in [1, 3] {
        let plan = Plan { accumulate, ..plan(3) };
        let often = Plan { validate_every: Some(2), ..plan };
        let mut without = run(training(plan), false);
        let mut whole = run(training(often), false);
        assert!(bytes(&whole.state.model()) == bytes(&without.state.model()));
        let steps: Vec<u64> = whole.state.validations().iter().map(|validation| validation.step).collect();
        let expected: &[u64] = match accumulate {
            1 => &[2, 4, 6, 7, 8, 10, 12, 14, 16, 18, 20, 21],
            _ => &[3, 6, 7, 10, 13, 14, 17, 20, 21],
        };
        assert_eq!(steps, expected);
        let losses = || whole.state.validations().iter().map(|validation| validation.figures.loss);
        let best = whole.state.best().expect("validated");
        assert_eq!(losses().fold(f64::INFINITY, f64::min), best.figures.loss);
        let measured = evaluate(&best.model, &batches(20, 8, 5), |_| true).expect("measured");
        assert_eq!(measured, best.figures);
        let kept = bytes(&whole.model());
        for stop in 1..=STEPS + 2 {
            let folder = tempfile::tempdir().expect("folder");
            let begun = || training(often).with_checkpoints(folder.path().join("checkpoints"), None);
            let asked = Rc::new(Cell::new(0));
            let stopped = move || {
                asked.set(asked.get() + 1);
                asked.get() >= stop
            };
            run(begun().with_interrupter(Interrupter::new(), stopped), false);
            let mut resumed = run(begun(), true);
            assert_eq!(resumed.state.validations(), whole.state.validations(), "stopped when asked {stop} times");
            assert!(bytes(&resumed.state.model()) == bytes(&whole.state.model()) && bytes(&resumed.model()) == kept);
        }
    }
}

#[test]
fn patience_counts_validations_within_epochs() {
    let plan = Plan { patience: Some(3), validate_every: Some(2), ..plan(60) };
    let folder = tempfile::tempdir().expect("folder");
    let begun = |plan| training(plan).with_checkpoints(folder.path().into(), None);
    let mut ended = run(begun(plan), false);
    assert_eq!(ended.ended, Ended::EarlyStopped);
    let best = ended.state.best().expect("validated").step;
    let since = ended.state.validations().iter().filter(|validation| validation.step > best).count();
    assert_eq!(since, 3);
    let mut again = run(begun(plan), true);
    assert_eq!((again.ended, again.state.step()), (Ended::EarlyStopped, ended.state.step()));
    assert!(bytes(&again.model()) == bytes(&ended.model()));
    let more = run(begun(Plan { patience: Some(4), ..plan }), true);
    assert!(more.state.step() > ended.state.step());
}

/// A hook within an epoch sees the table that a training without waiting rows has.
#[test]
fn a_hook_sees_the_whole_table() {
    let tables = |plan: Plan| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let kept = seen.clone();
        let watch = Watch {
            step: move |state: &mut TrainState<Model>| {
                if state.step() % 3 == 2 {
                    kept.borrow_mut().push(bytes(&state.model()));
                }
                Flow::Continue
            },
            epoch: |_: &mut _, _: &_, _| Flow::Continue,
        };
        let training = training(plan);
        let state = training.state(model(3), false).expect("a state");
        training.run(state, Box::new(Notes::default()), watch).expect("trained");
        seen.take()
    };
    // An average that is all weight of the present: the same numbers by way of the whole table.
    let whole = tables(Plan { average: Some(0.0), ..plan(2) });
    let lazy = tables(plan(2));
    assert_eq!(lazy.len(), 5);
    assert!(lazy == whole);
}

#[test]
fn gradients_of_small_mini_batches_make_the_update_of_a_large_one() {
    let losses = |batch, accumulate| {
        // Without a last mini-batch that is smaller, and with the order of the items.
        let train = Training::new(Plan { accumulate, ..plan(2) }, batches(48, batch, 1));
        let outcome = run(train.with_validation(Some(batches(20, 20, 5))), false);
        outcome
            .state
            .history()
            .iter()
            .map(|record| record.validation.as_ref().expect("figures").loss)
            .collect::<Vec<_>>()
    };
    // Dropout's masks differ from one size of mini-batch to another: only roughly the same.
    for (small, large) in losses(4, 4).into_iter().zip(losses(16, 1)) {
        assert!((small - large).abs() < 0.02, "{small} {large}");
    }
}

#[test]
fn patience_ends_a_training_and_the_best_model_is_kept() {
    let plan = Plan { patience: Some(2), ..plan(60) };
    let mut outcome = run(training(plan), false);
    assert_eq!(outcome.ended, Ended::EarlyStopped);
    let epochs = outcome.state.history().len();
    let best = outcome.state.best().expect("validated").epoch;
    assert_eq!(epochs, best + 2);
    let losses: Vec<f64> =
        outcome.state.history().iter().map(|r| r.validation.as_ref().expect("figures").loss).collect();
    assert!(losses.iter().all(|loss| *loss >= losses[best - 1]));
    let measured = evaluate(&outcome.model(), &batches(20, 8, 5), |_| true).expect("measured");
    assert!((measured.loss - losses[best - 1]).abs() < 1e-6);
    // Resumed, it is still at its end; with more patience it goes on.
    let folder = tempfile::tempdir().expect("folder");
    let begun = |plan| training(plan).with_checkpoints(folder.path().into(), None);
    run(begun(plan), false);
    let again = run(begun(plan), true);
    assert_eq!((again.ended, again.state.history().len()), (Ended::EarlyStopped, epochs));
    let more = run(begun(Plan { patience: Some(3), epochs: epochs + 1, ..plan }), true);
    assert_eq!(more.state.history().len(), epochs + 1);
}

#[test]
fn burn_train_sees_every_epoch_and_the_last_figures() {
    let notes = Notes::default();
    let training = training(plan(2));
    let state = training.state(model(3), false).expect("a state");
    training.run(state, Box::new(notes.clone()), no_hooks()).expect("trained");
    let seen = notes.take();
    let all = seen.join("\n");
    assert_eq!(seen[0], "start 2 from 1");
    for part in ["start train 50", "start valid 20", "items 50", "items 20", "epoch 1", "epoch 2", "end of training"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(all.contains("train ") && all.contains("valid "), "{all}");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_training_and_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().expect("folder");
    let begun = |plan| training(plan).with_checkpoints(folder.path().into(), None);
    run(begun(plan(1)), false);
    let mut bad = plan(3);
    bad.optimizer.learning_rate = 1e38;
    let training = begun(bad);
    let state = training.state(model(3), true).expect("a state");
    let error = training.run(state, Box::new(Notes::default()), no_hooks()).expect_err("diverged").to_string();
    assert!(error.contains("training has diverged; try a smaller learning rate"), "{error}");
    let kept = run(begun(plan(2)), true);
    assert_eq!(kept.ended, Ended::Complete);
}

#[test]
fn a_loss_that_grows_a_hundredfold_ends_the_training() {
    let mut bad = plan(400);
    bad.optimizer = OptimizerConfig::new(OptimizerName::Sgd);
    bad.optimizer.learning_rate = 3e4;
    let training = training(bad);
    let state = training.state(model(3), false).expect("a state");
    let error = training.run(state, Box::new(Notes::default()), no_hooks()).map(|_| ()).expect_err("diverged");
    assert!(matches!(error, TrainError::Grew { from, loss, .. } if loss > 100.0 * from), "{error}");
}

/// A step's loss is from before its update: the weights after it are tried before they are saved.
#[test]
fn weights_that_have_diverged_are_in_no_checkpoint() {
    for (learning_rate, every, batch) in [(1e30, Some(1), 8), (1e30, None, 50), (1e38, None, 50)] {
        let folder = tempfile::tempdir().expect("folder");
        let mut bad = plan(1);
        bad.optimizer.learning_rate = learning_rate;
        let training = Training::new(bad, batches(50, batch, 1)).with_checkpoints(folder.path().into(), every);
        let state = training.state(model(3), false).expect("a state");
        let error = training.run(state, Box::new(Notes::default()), no_hooks()).map(|_| ()).expect_err("diverged");
        assert!(error.is_divergence(), "{error}");
        assert!(!rnn_train::has_checkpoint(folder.path()).expect("a folder"), "{learning_rate} {every:?}");
    }
}

#[test]
fn after_resuming_the_loss_is_measured_against_that_at_the_beginning() {
    let mut bad = plan(400);
    bad.optimizer = OptimizerConfig { learning_rate: 3e4, ..OptimizerConfig::new(OptimizerName::Sgd) };
    let from = |training: Training<Model>, resume| {
        let state = training.state(model(3), resume).expect("a state");
        match training.run(state, Box::new(Notes::default()), no_hooks()).map(|_| ()).expect_err("diverged") {
            TrainError::Grew { from, .. } => from,
            other => panic!("{other}"),
        }
    };
    let folder = tempfile::tempdir().expect("folder");
    let slow = Plan { optimizer: OptimizerConfig { learning_rate: 1e-9, ..bad.optimizer }, ..bad };
    let begun = |plan| training(plan).with_checkpoints(folder.path().into(), None);
    let steps = Cell::new(0);
    let third = move || steps.replace(steps.get() + 1) == 2;
    assert_eq!(run(begun(slow).with_interrupter(Interrupter::new(), third), false).ended, Ended::Interrupted);
    assert_eq!(from(begun(bad), true).to_bits(), from(training(bad), false).to_bits());
}

#[test]
fn checkpoints_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let begun = || training(plan(1)).with_checkpoints(folder.path().into(), None);
    let error = || begun().state(model(3), true).expect_err("unusable").to_string();
    assert!(error().contains("there is no checkpoint to resume from"));
    run(begun(), false);
    let checkpoint = folder.path().join(format!("{STEPS:08}"));
    let damage = |name: &str, from: &str, to: &str| {
        let path = checkpoint.join(name);
        let before = std::fs::read(&path).expect("there");
        let changed = match String::from_utf8(before.clone()) {
            Ok(text) => text.replace(from, to).into_bytes(),
            Err(_) => before.iter().map(|byte| byte ^ 1).collect(),
        };
        std::fs::write(&path, changed).expect("written");
        let error = error();
        std::fs::write(&path, before).expect("written");
        error
    };
    assert!(damage("checksums.json", "\"format\": 2", "\"format\": 7").contains("its format is 7"));
    assert!(damage("checksums.json", "{", "").contains("checksums.json: it is damaged"));
    assert!(damage("state.json", "7", "8").contains("state.json: it is damaged or of another model"));
    assert!(damage("model.bpk", "", "").contains("model.bpk: it is damaged or of another model"));
    assert!(damage("optimizer.bpk", "", "").contains("optimizer.bpk: it is damaged"));
    // Another training, which has another place for this step.
    let other = Training::new(plan(1), batches(10, 8, 1)).with_checkpoints(folder.path().into(), None);
    let error = other.state(model(3), true).expect_err("another training").to_string();
    assert!(error.contains("the newest checkpoint is of another training"), "{error}");
    #[cfg(unix)]
    {
        std::fs::remove_file(checkpoint.join("model.bpk")).expect("there");
        std::fs::create_dir(checkpoint.join("model.bpk")).expect("made");
        assert!(error_of(&begun).contains("model.bpk: it is damaged or of another model (it is not a file)"));
        std::fs::remove_dir(checkpoint.join("model.bpk")).expect("there");
        assert!(error_of(&begun).contains("model.bpk: it is damaged or of another model (No such file"));
    }
}

fn error_of(begun: &impl Fn() -> Training<Model>) -> String {
    begun().state(model(3), true).expect_err("unusable").to_string()
}

/// The model that a hook is content with is the one that stays, and a resumed training does not go past it.
#[test]
fn a_training_that_a_hook_ended_stays_ended() {
    let folder = tempfile::tempdir().expect("folder");
    let begun = || training(plan(5)).with_checkpoints(folder.path().join("checkpoints"), None);
    let hooks = || {
        let epoch = |state: &mut TrainState<Model>, _: &EpochRecord, _| match state.history().len() {
            2 => Flow::Stop,
            _ => Flow::Continue,
        };
        Watch { step: |_: &mut _| Flow::Continue, epoch }
    };
    let state = begun().state(model(3), false).expect("a state");
    let mut ended = begun().run(state, Box::new(Notes::default()), hooks()).expect("trained");
    assert_eq!((ended.ended, ended.state.step()), (Ended::Stopped, 2 * STEPS));
    assert_eq!(bytes(&ended.model()), bytes(&ended.state.model()));
    assert_eq!(ended.record().map(|record| record.epoch), Some(2));
    let mut resumed = run(begun(), true);
    assert_eq!((resumed.ended, resumed.state.step()), (Ended::Stopped, 2 * STEPS));
    assert_eq!(bytes(&resumed.model()), bytes(&ended.model()));
}

/// Two models of the same seed make the same files.
#[test]
fn the_same_seed_makes_the_same_bytes() {
    let trained = || {
        let folder = tempfile::tempdir().expect("folder");
        let mut outcome = run(training(plan(1)).with_checkpoints(folder.path().join("checkpoints"), None), false);
        let checkpoint = folder.path().join("checkpoints/00000007");
        // Not the optimizer's, whose tensors Burn gives random ids.
        let files = ["model.bpk", "moments.bpk", "best.bpk"];
        (bytes(&outcome.model()), files.map(|name| std::fs::read(checkpoint.join(name)).expect("there")))
    };
    let (first, second) = (trained(), trained());
    assert!(first.0 == second.0);
    for (file, (a, b)) in first.1.iter().zip(&second.1).enumerate() {
        assert!(a == b, "file {file}: {} bytes at {:?}", a.len(), a.iter().zip(b).position(|(a, b)| a != b));
    }
}
