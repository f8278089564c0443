//! Weights from PyTorch and back: `pytorch_weights IN OUT` reads the bidirectional LSTM of three layers that
//! `tests/pytorch/generate.py` saved, runs it, and writes it as `OUT.safetensors` for `load_state_dict(strict=True)`.

use rnn_core::burn::tensor::{Device, Tensor};
use rnn_core::weights::WeightError;
use rnn_core::{Direction, LstmConfig, Preset};

fn main() -> Result<(), WeightError> {
    let mut args = std::env::args().skip(1);
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pytorch/lstm.pt");
    let source = args.next().unwrap_or_else(|| ours.into());

    let device = Device::default();
    let config =
        LstmConfig::new(2, 3).with_num_layers(3).with_direction(Direction::Bidirectional).with_preset(Preset::Pytorch);
    let lstm = config.init_zeros(&device).load_pytorch(source, "model")?;
    let output = lstm.forward(Tensor::ones([1, 4, 2], &device));
    println!("{}", output.sequence);
    if let Some(target) = args.next() {
        lstm.save_pytorch(target, "")?;
    }
    Ok(())
}
