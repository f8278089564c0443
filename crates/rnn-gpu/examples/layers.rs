//! How long the kernels take on an adapter, forward, backward, and over rows of different lengths; stored as f32, and
//! as f16 where the adapter has it.
//!
//! `layers [cpu|gpu|cuda] [CELL BATCH,TIME,INPUTS,UNITS]…`: `cpu` is the software adapter.

#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn main() {
    timed::main();
}

#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
fn main() {
    eprintln!("build it with --features wgpu or cuda");
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod timed {
    use rnn_gpu::cubecl::{self, client::Client};
    use rnn_gpu::{
        Buffer, Cell, Counted, Input, Layer, Options, OutputGradients, Sequence, Storage, Strided, Wanted, Zoneout,
    };
    use std::time::{Duration, Instant};

    pub fn main() {
        let mut args = std::env::args().skip(1);
        let device = match args.next().as_deref() {
            #[cfg(feature = "cuda")]
            Some("cuda") => cubecl::Device::Cuda(Default::default()),
            #[cfg(feature = "wgpu")]
            Some("gpu") => cubecl::Device::Wgpu(Default::default()),
            #[cfg(feature = "wgpu")]
            None | Some("cpu") => cubecl::Device::Wgpu(cubecl::device::WgpuDeviceKind::Cpu.into()),
            other => panic!("{other:?}: write cpu, gpu or cuda, as far as compiled in"),
        };
        let client = device.client();
        println!("{}: {}", client.name(), client.properties().identity.name);
        let asked: Vec<String> = args.collect();
        let default = ["lstm", "50,80,128,128", "gru", "50,80,128,128", "rnn", "50,80,128,128", "lstm", "10,80,32,32"];
        let asked = if asked.is_empty() { default.map(String::from).to_vec() } else { asked };
        println!(
            "| layer, stored as | forward, ms | forward and backward | the same, half of the steps | ÷ all |\n|---|---:|---:|---:|---:|"
        );
        let storages: Vec<Storage> = [Storage::F32, Storage::F16].into_iter().filter(|s| s.is_on(&client)).collect();
        for pair in asked.chunks(2) {
            let cell = match &*pair[0] {
                "rnn" => Cell::Rnn,
                "lstm" => Cell::Lstm,
                "gru" => Cell::GruAfter,
                other => panic!("{other}: write rnn, lstm or gru"),
            };
            let sizes: Vec<usize> = pair[1].split(',').map(|size| size.parse().expect("a size")).collect();
            let &[batch, time, d_input, d_hidden] = &sizes[..] else { panic!("BATCH,TIME,INPUTS,UNITS") };
            let case = Case::new(&client, cell, [batch, time, d_input, d_hidden]);
            // Lengths from 1 to all, in no order.
            let lengths: Vec<usize> =
                (0..batch).map(|row| 1 + (row * 37 % batch) * (time - 1) / batch.max(2)).collect();
            let forward = case.times(Counted::All, false, &storages);
            let both = case.times(Counted::All, true, &storages);
            let ragged = case.times(Counted::Lengths(&lengths), true, &storages);
            for (which, storage) in storages.iter().enumerate() {
                let [forward, both, ragged] = [forward[which], both[which], ragged[which]].map(|d| d.as_secs_f64());
                println!(
                    "| {} {} {storage:?} | {:.2} | {:.2} | {:.2} | {:.2} |",
                    pair[0],
                    pair[1],
                    1e3 * forward,
                    1e3 * both,
                    1e3 * ragged,
                    ragged / both,
                );
            }
        }
    }

    struct Case<'a> {
        client: &'a Client,
        layer: Layer,
        sizes: [usize; 4],
        x: Buffer,
        state: Buffer,
    }

    impl<'a> Case<'a> {
        fn new(client: &'a Client, cell: Cell, sizes: [usize; 4]) -> Self {
            let [batch, time, d_input, d_hidden] = sizes;
            let width = cell.gates() * d_hidden;
            let mut seed = 1u32;
            let mut numbers = |n: usize, scale: f32| {
                let values: Vec<f32> = (0..n)
                    .map(|_| {
                        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                        (seed as f32 / u32::MAX as f32 - 0.5) * 2.0 * scale
                    })
                    .collect();
                Buffer::from_f32(client, &values)
            };
            let layer = Layer {
                cell,
                options: Options::plain(cell),
                d_input,
                d_hidden,
                w_ih: numbers(d_input * width, 0.08),
                w_hh: Some(numbers(d_hidden * width, 0.08)),
                b_ih: Some(numbers(width, 0.1)),
                b_hh: Some(numbers(width, 0.1)),
                peepholes: [None, None, None],
                norm: None,
            };
            Case {
                client,
                layer,
                sizes,
                x: numbers(batch * time * d_input, 1.0),
                state: numbers(batch * d_hidden, 0.0),
            }
        }

        /// The least of several turns, for each way of storage; they take turns.
        fn times(&self, counted: Counted, backward: bool, storages: &[Storage]) -> Vec<Duration> {
            let run = |storage: &Storage| self.run(counted, backward, *storage);
            storages.iter().map(run).for_each(drop);
            let begin = Instant::now();
            let mut least: Vec<Duration> = storages.iter().map(run).collect();
            while begin.elapsed() < Duration::from_secs(4) * storages.len() as u32 {
                for (least, storage) in least.iter_mut().zip(storages) {
                    *least = run(storage).min(*least);
                }
            }
            least
        }

        fn run(&self, counted: Counted, backward: bool, storage: Storage) -> Duration {
            let [batch, time, d_input, d_hidden] = self.sizes;
            let sequence = Sequence {
                batch,
                time,
                input: Input::Dense(Strided::contiguous(self.x.clone(), batch, d_input)),
                h0: self.state.clone(),
                c0: self.layer.cell.has_c().then(|| self.state.clone()),
                reverse: false,
                resets: None,
                counted,
                masked_repeats: false,
                input_masks: Vec::new(),
                recurrent_masks: Vec::new(),
                zoneout_h: Zoneout::Off,
                zoneout_c: Zoneout::Off,
                storage,
            };
            let start = Instant::now();
            let (output, saved) = rnn_gpu::forward(self.client, &self.layer, &sequence, backward);
            if let Some(saved) = saved {
                let given = OutputGradients {
                    sequence: Some(Strided::contiguous(output.sequence, batch, d_hidden)),
                    ..Default::default()
                };
                let wanted = Wanted { input: true, input_weights: true, hidden_weights: true };
                let grads = rnn_gpu::backward(self.client, &self.layer, &sequence, &saved, &given, wanted);
                grads.input.expect("wanted").read_f32(self.client);
                grads.b_hh.expect("wanted").read_f32(self.client);
            } else {
                output.h.read_f32(self.client);
            }
            start.elapsed()
        }
    }
}
