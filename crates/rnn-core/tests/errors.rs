//! What a wrong configuration or input is told.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};
use rnn_core::{
    Activation, AnyConfig, Bias, CellKind, CellState, Direction, DropoutMasks, Exec, ForwardArgs, GruConfig,
    HiddenState, Initializer, Initializers, Input, Isa, Key, LstmConfig, LstmState, MaskedOutput, MinGruConfig,
    MinLstmConfig, RnnConfig, RnnError, States,
};

fn layer() -> rnn_core::Rnn {
    RnnConfig::new(2, 3).init(Key::new(0), &Device::default())
}

fn message(input: [usize; 3], args: ForwardArgs<HiddenState>) -> String {
    let input = Tensor::zeros(input, &Device::default());
    layer().try_forward(input, args).expect_err("wrong on purpose").to_string()
}

#[test]
fn configurations_are_checked() {
    let device = Device::default();
    let error = |config: LstmConfig| config.try_init(Key::new(0), &device).unwrap_err().to_string();
    assert_eq!(error(LstmConfig::new(0, 3)), "d_input is 0; it must be at least 1");
    assert_eq!(error(LstmConfig::new(3, 0)), "d_hidden is 0; it must be at least 1");
    assert_eq!(
        error(LstmConfig::new(3, 3).with_num_layers(0)),
        "d_hidden is empty; give the size of at least one layer"
    );
    assert_eq!(error(LstmConfig::new(3, 3).with_d_hidden([3, 0])), "d_hidden is 0; it must be at least 1");
    let range = "it must be at least 0 and less than 1";
    assert_eq!(error(LstmConfig::new(3, 3).with_dropout(1.0)), format!("dropout is 1; {range}"));
    assert_eq!(
        error(LstmConfig::new(3, 3).with_recurrent_dropout(f64::NAN)),
        format!("recurrent_dropout is NaN; {range}")
    );
    let probabilities = [
        ("layer_dropout", LstmConfig::new(3, 3).with_layer_dropout(-0.1), "-0.1"),
        ("weight_dropout", LstmConfig::new(3, 3).with_weight_dropout(1.5), "1.5"),
        ("zoneout.hidden", LstmConfig::new(3, 3).with_zoneout(1.0, 0.0), "1"),
        ("zoneout.cell", LstmConfig::new(3, 3).with_zoneout(0.0, 2.0), "2"),
    ];
    for (name, config, value) in probabilities {
        assert_eq!(error(config), format!("{name} is {value}; {range}"));
    }
    for clip in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let told = format!("clip is {clip}; it must be finite and more than 0");
        assert_eq!(error(LstmConfig::new(3, 3).with_clip(Some(clip))), told);
        assert_eq!(
            GruConfig::new(3, 3).with_clip(Some(clip)).try_init(Key::new(0), &device).unwrap_err().to_string(),
            told
        );
        assert_eq!(
            RnnConfig::new(3, 3).with_clip(Some(clip)).try_init(Key::new(0), &device).unwrap_err().to_string(),
            told
        );
    }
    let no_effect = [
        (
            error(LstmConfig::new(3, 3).with_layer_dropout(0.5)),
            "layer_dropout = 0.5 would change nothing: it acts between layers, and there is one; stack layers, or use \
             dropout or recurrent_dropout",
        ),
        (
            error(LstmConfig::new(3, 3).with_dropout_masks(DropoutMasks::PerGate)),
            "dropout_masks = PerGate would change nothing: neither dropout nor recurrent_dropout is above 0; set one of \
             them, or leave the masks shared",
        ),
        (
            GruConfig::new(3, 3).with_zoneout(0.1, 0.5).try_init(Key::new(0), &device).unwrap_err().to_string(),
            "zoneout.cell = 0.5 would change nothing: this cell has no c; use zoneout.hidden alone",
        ),
        (
            MinGruConfig::new(3, 3).with_recurrent_dropout(0.5).try_init(Key::new(0), &device).unwrap_err().to_string(),
            "recurrent_dropout = 0.5 would change nothing: this cell has no product of h and W_hh; use dropout or zoneout",
        ),
        (
            MinLstmConfig::new(3, 3).with_bias(Bias::Two).try_init(Key::new(0), &device).unwrap_err().to_string(),
            "bias = Two would change nothing: this cell has no product of h and W_hh; use Bias::One",
        ),
        (
            RnnConfig::new(3, 3).with_zoneout(0.0, 0.5).try_init(Key::new(0), &device).unwrap_err().to_string(),
            "zoneout.cell = 0.5 would change nothing: this cell has no c; use zoneout.hidden alone",
        ),
    ];
    for (told, expected) in no_effect {
        assert_eq!(told, expected);
    }
    let any = AnyConfig::of_kind(CellKind::Gru, 3, 3).with_dropout_masks(DropoutMasks::PerGate);
    assert!(matches!(any.try_init(Key::new(0), &device), Err(RnnError::NoEffect { .. })));
    assert_eq!(
        error(LstmConfig::new(3, 3).with_d_hidden([3, 1]).with_layer_norm(true)),
        "layer_norm leaves nothing of a layer of 1 unit; give each layer at least 2, or turn layer_norm off"
    );
    for proj_size in [0, 2, 3] {
        assert_eq!(
            error(LstmConfig::new(3, 3).with_d_hidden([4, 2]).with_proj_size(Some(proj_size))),
            format!("proj_size is {proj_size}; it must be at least 1 and less than d_hidden = 2")
        );
    }
    let huge = error(LstmConfig::new(3, usize::MAX));
    assert_eq!(huge, format!("3 features and {} units give more weights than this machine can address", usize::MAX));
    let slope = Activation::HardSigmoid { slope: f64::NAN };
    assert_eq!(
        error(LstmConfig::new(3, 3).with_gate_activation(slope)),
        "an activation has slope NaN; it must be a finite number"
    );
    for initializer in
        [Initializer::Constant(f64::NAN), Initializer::Uniform(-1.0), Initializer::Identity(f64::INFINITY)]
    {
        let config =
            LstmConfig::new(3, 3).with_initializers(Initializers { recurrent: initializer, ..Initializers::KERAS });
        let told = format!(
            "initializer {initializer:?} cannot fill recurrent: its number must be finite, and a limit not below 0"
        );
        assert_eq!(error(config), told);
    }
    let wrong = Initializers { bias: Initializer::GlorotUniform, ..Initializers::KERAS };
    let config = LstmConfig::new(3, 3).with_initializers(wrong);
    assert!(matches!(config.try_init(Key::new(0), &device), Err(RnnError::Initializer { parameter: "bias", .. })));
    assert!(config.with_bias(Bias::None).try_init(Key::new(0), &device).is_ok());
}

#[test]
fn inputs_are_checked() {
    let device = Device::default();
    assert_eq!(message([0, 4, 2], ForwardArgs::default()), "input is [batch 0, time 4]; both must be at least 1");
    assert_eq!(
        message([1, 4, 5], ForwardArgs::default()),
        "input has 5 features per step, but the layer was made for d_input = 2"
    );
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_lengths(&[4])),
        "1 lengths were given for a batch of 2 rows"
    );
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_lengths(&[4, 5])),
        "length 5 of row 1 is more than the input's 4 steps"
    );
    let state = |shape: [usize; 2]| HiddenState { hidden: Tensor::zeros(shape, &device) };
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_state(state([2, 4]))),
        "h of initial state 0 is [2, 4], expected [batch, width] = [2, 3]"
    );
    let two = States::new(Direction::Forward, vec![state([2, 3]), state([2, 3])]);
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_state(two)),
        "2 initial states were given for 1 layers and directions"
    );
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_state(States::new(Direction::Forward, vec![]))),
        "0 initial states were given for 1 layers and directions"
    );
    let lstm = LstmConfig::new(2, 4).with_proj_size(Some(3)).init(Key::new(0), &device);
    for (hidden, cell, expected) in [
        (4, 4, "h of initial state 0 is [2, 4], expected [batch, width] = [2, 3]"),
        (3, 3, "c of initial state 0 is [2, 3], expected [batch, width] = [2, 4]"),
    ] {
        let state = LstmState { hidden: Tensor::zeros([2, hidden], &device), cell: Tensor::zeros([2, cell], &device) };
        let args = ForwardArgs::default().with_state(state);
        let told = lstm.try_forward(Tensor::zeros([2, 4, 2], &device), args).expect_err("wrong on purpose").to_string();
        assert_eq!(told, expected);
    }
    let told = |symbols: &[u32], shape| {
        let input = Input::symbols(symbols, shape);
        layer().try_forward(input, ForwardArgs::default()).expect_err("wrong on purpose").to_string()
    };
    assert_eq!(told(&[0, 1, 0, 2], [2, 2]), "symbol 2 of row 1 at step 1 is not below d_input = 2");
    assert_eq!(told(&[0, 1, 0], [2, 2]), "3 symbols or ids were given, expected one for each row and step: 2·2");
    assert_eq!(told(&[], [0, 2]), "input is [batch 0, time 2]; both must be at least 1");
    assert_eq!(
        told(&[], [usize::MAX, 2]),
        format!("0 symbols or ids were given, expected one for each row and step: {}·2", usize::MAX)
    );
    let told = |rows, width, ids: &[u32], shape| {
        let table = Tensor::zeros([rows, width], &Device::default());
        let args = ForwardArgs::default();
        layer().try_forward(Input::ids(table, ids, shape), args).expect_err("wrong on purpose").to_string()
    };
    assert_eq!(
        told(7, 2, &[0, 6, 1, 7], [2, 2]),
        "id 7 of row 1 at step 1 is not below the number of the table's rows, 7"
    );
    assert_eq!(told(7, 3, &[0], [1, 1]), "the table's rows have 3 numbers, but the layer was made for d_input = 2");
    assert_eq!(told(7, 2, &[0, 1, 0], [2, 2]), "3 symbols or ids were given, expected one for each row and step: 2·2");
    assert_eq!(told(7, 2, &[], [2, 0]), "input is [batch 2, time 0]; both must be at least 1");
    let table = Tensor::zeros([7, 2], (&Device::default(), DType::F64));
    let error = layer().try_forward(Input::ids(table, &[0], [1, 1]), ForwardArgs::default()).unwrap_err();
    assert_eq!(error.to_string(), "the table is F64, but the layer's weights are F32");
    let mask = [true; 7];
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_mask(&mask)),
        "the mask has 7 values, expected one for each row and step: 2·4"
    );
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_resets(&[true; 4])),
        "the resets have 4 values, expected one for each row and step: 2·4"
    );
    let both = ForwardArgs::default().with_mask(&[true; 8]).with_lengths(&[4, 4]);
    assert_eq!(message([2, 4, 2], both), "both lengths and a mask were given; give one of them");
    let previous = ForwardArgs::default().with_masked_output(MaskedOutput::Previous);
    assert_eq!(
        message([2, 4, 2], previous),
        "masked_output = Previous would change nothing: all steps count; give lengths or a mask"
    );
    let isa = if cfg!(target_arch = "aarch64") { Isa::Avx2 } else { Isa::Neon };
    assert_eq!(
        message([2, 4, 2], ForwardArgs::default().with_exec(Exec { isa, threads: 1 })),
        format!("this machine does not have the instruction set {isa:?}; `Isa::available` lists those that it has")
    );
    let half = Tensor::<3>::zeros([2, 4, 2], (&device, DType::F64));
    let error = layer().try_forward(half, ForwardArgs::default()).unwrap_err();
    assert_eq!(error.to_string(), "input is F64, but the layer's weights are F32");
}

#[test]
fn a_layer_that_goes_backward_has_no_steps_and_no_windows() {
    let device = Device::default();
    for (direction, way) in [(Direction::Backward, "backward"), (Direction::Bidirectional, "both ways")] {
        let rest = format!(
            "is for layers that go forward; this one goes {way}, and its first output depends on the last input: give \
             `forward` the whole sequence"
        );
        let layer = LstmConfig::new(2, 3).with_direction(direction).init(Key::new(0), &device);
        let (input, whole) = (Tensor::<2>::ones([1, 2], &device), Tensor::<3>::ones([1, 8, 2], &device));
        let error = layer.try_step(input, None).err();
        assert_eq!(error.map(|e| e.to_string()), Some(format!("`step` {rest}")));
        let error = layer.try_windows(whole, 5).err();
        assert_eq!(error.map(|e| e.to_string()), Some(format!("`windows` {rest}")));
    }
    let told = |shape: [usize; 3], bptt| layer().try_windows(Tensor::zeros(shape, &device), bptt).unwrap_err();
    assert_eq!(told([1, 8, 2], 0).to_string(), "bptt is 0; it must be at least 1");
    assert_eq!(told([1, 0, 2], 5).to_string(), "input is [batch 1, time 0]; both must be at least 1");
}

/// Each of the two final states of a layer that goes both ways, and of a stack of two layers that goes one way.
#[test]
fn states_know_which_way_their_layer_goes() {
    let device = Device::default();
    let input = Tensor::<3>::random([3, 5, 2], burn::tensor::Distribution::Default, &device);
    let at = |sequence: &Tensor<3>, step: usize, units: std::ops::Range<usize>| {
        let found = sequence.clone().slice_dim(1, step..step + 1).slice_dim(2, units);
        found.squeeze_dim::<2>(1).into_data()
    };
    let config = || GruConfig::new(2, 4).with_num_layers(2);
    let forward = config().init(Key::new(0), &device).forward(input.clone());
    assert_eq!(forward.state.hidden().into_data(), at(&forward.sequence, 4, 0..4));
    assert_eq!(forward.last_hidden().into_data(), at(&forward.sequence, 4, 0..4));
    let layer = config().with_direction(Direction::Backward).init(Key::new(0), &device);
    let backward = layer.forward(input.clone());
    assert_eq!(backward.state.hidden().into_data(), at(&backward.sequence, 0, 0..4));
    let layer = config().with_direction(Direction::Bidirectional).init(Key::new(0), &device);
    let both = layer.forward(input.clone());
    let halves = [at(&both.sequence, 4, 0..4), at(&both.sequence, 0, 4..8)];
    let found = both.state.last_layer().iter().map(|state| state.hidden().clone().into_data());
    assert!(found.eq(halves.clone()));
    let hidden = both.state.hidden();
    assert_eq!([0..4, 4..8].map(|units| hidden.clone().slice_dim(1, units).into_data()), halves);
    assert_eq!(both.last_hidden().into_data(), hidden.into_data());
    // What they are carried into.
    let reset = both.state.clone().detach().reset(&[true, false, false]);
    assert_eq!(reset.direction(), Direction::Bidirectional);
    assert!(layer.try_forward(input.clone(), ForwardArgs::default().with_state(reset)).is_ok());
    let other = GruConfig::new(2, 4).with_num_layers(4).init(Key::new(0), &device);
    let error = other.try_forward(input, ForwardArgs::default().with_state(both.state)).unwrap_err();
    assert_eq!(error.to_string(), "the initial states are of a layer that goes both ways, but this one goes forward");
}

#[test]
fn a_configuration_that_was_changed_is_checked() {
    let mut layer = layer();
    layer.config.dropout = 1.0;
    let input = Tensor::zeros([2, 4, 2], &Device::default());
    let told = layer.try_forward(input, ForwardArgs::default()).unwrap_err().to_string();
    assert_eq!(told, "dropout is 1; it must be at least 0 and less than 1");
}

#[test]
fn weights_that_were_replaced_are_checked() {
    let device = Device::default();
    let make = || LstmConfig::new(3, 4).with_num_layers(2).init(Key::new(0), &device);
    let told = |layer: rnn_core::Lstm| {
        layer.try_forward(Tensor::zeros([1, 2, 3], &device), ForwardArgs::default()).expect_err("wrong").to_string()
    };
    let mut layer = make();
    layer.layers[1].weight_ih = Param::from_tensor(Tensor::zeros([3, 16], &device));
    assert_eq!(told(layer), "weight_ih of layer 1 is [3, 16], but its configuration says [4, 16]");
    let mut layer = make();
    layer.layers[0].bias_ih = Some(Param::from_tensor(Tensor::zeros([5], &device)));
    assert_eq!(told(layer), "bias_ih of layer 0 is [5], but its configuration says [16]");
    let mut layer = make();
    layer.layers[0].bias_ih = Some(Param::from_tensor(Tensor::zeros([16], (&device, DType::F64))));
    assert_eq!(told(layer), "bias_ih is F64, but the layer's weights are F32");
    for layers in [0, 1] {
        let mut layer = make();
        layer.layers.truncate(layers);
        assert_eq!(told(layer), format!("layer {layers} does not have the parameters that its configuration says"));
    }
    let mut layer = make();
    layer.layers[0].norm_hh = Some(Param::from_tensor(Tensor::zeros([16], &device)));
    assert_eq!(told(layer), "layer 0 does not have the parameters that its configuration says");
    for bias in [Bias::None, Bias::Two] {
        let mut layer = make();
        layer.config.bias = bias;
        assert_eq!(told(layer), "layer 0 does not have the parameters that its configuration says");
    }
    // Graphs that are kept in different ways do not meet.
    let layer = LstmConfig::new(3, 4).init(Key::new(0), &device.clone().autodiff());
    let input = Tensor::<3>::zeros([1, 2, 3], &device.clone().autodiff().gradient_checkpointing());
    let told = layer.try_forward(input, ForwardArgs::default()).expect_err("wrong").to_string();
    assert!(told.starts_with("input is on "), "{told}");
}

#[test]
fn nan_goes_through_and_stays_in_its_row() {
    let device = Device::default();
    let mut values = vec![0.5f32; 2 * 4 * 2];
    values[0] = f32::NAN;
    let input = Tensor::<1>::from_data(values.as_slice(), &device).reshape([2, 4, 2]);
    let out = GruConfig::new(2, 3).init(Key::new(0), &device).forward(input);
    let out: Vec<f32> = out.sequence.into_data().try_to_vec().expect("f32");
    assert!(out[..12].iter().all(|x| x.is_nan()));
    assert!(out[12..].iter().all(|x| x.is_finite()));
}

#[test]
fn presets_are_the_frameworks_own() {
    let device = Device::default();
    let biases = |layer: &rnn_core::Layer| (layer.bias_ih.is_some(), layer.bias_hh.is_some());
    let lstm = LstmConfig::new(2, 3).init(Key::new(0), &device);
    assert_eq!(biases(&lstm.layers[0]), (true, false));
    let bias: Vec<f32> =
        lstm.layers[0].bias_ih.as_ref().expect("one bias").val().into_data().try_to_vec().expect("f32");
    assert_eq!(bias, [0., 0., 0., 1., 1., 1., 0., 0., 0., 0., 0., 0.]);
    // One gate for both: forgetting starts at 1 − σ(−1), which is σ(1).
    let coupled = LstmConfig::new(2, 1).with_coupled_gates(true).init(Key::new(0), &device);
    let bias = coupled.layers[0].bias_ih.as_ref().expect("one bias").val();
    assert_eq!(bias.into_data().try_to_vec::<f32>().expect("f32"), [-1., 0., 0.]);
    let gru = GruConfig::new(2, 3);
    assert_eq!(biases(&gru.clone().init(Key::new(0), &device).layers[0]), (true, true));
    let before = gru.with_reset_after(false).init(Key::new(0), &device);
    assert_eq!(biases(&before.layers[0]), (true, false));
}

#[test]
fn a_cell_that_does_not_exist_is_told() {
    for cell in CellKind::ALL {
        assert_eq!(cell.to_string().parse(), Ok(cell));
    }
    let error = "tree".parse::<CellKind>().expect_err("no such cell");
    assert_eq!(error.to_string(), "there is no cell \"tree\"; the cells are rnn, lstm, gru, mingru and minlstm");
}
