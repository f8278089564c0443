//! Values go to the device and come back.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod common;

use rnn_gpu::Buffer;

#[test]
fn values_come_back() {
    let client = common::client();
    println!("{:?}", client.properties());
    let values: Vec<f32> = (0..1000).map(|i| i as f32 / 7.0).collect();
    assert_eq!(Buffer::from_f32(&client, &values).read_f32(&client), values);
}
