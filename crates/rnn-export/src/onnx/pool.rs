//! Pooling over the steps of each sequence.

use super::graph::Graph;
use super::protobuf::Attribute;

/// What stands in place of a step that does not count, so that it is no maximum.
const LOW: f32 = -1e9;

/// Adds the largest value and the mean, as `wanted` says, of each unit of `h`, `[time, batch, d]`, over the steps, with
/// `lengths` over those below them. Gives `[batch, d]`, or both side by side.
pub fn add(graph: &mut Graph, h: &str, wanted: [bool; 2], lengths: bool) -> String {
    let counted = if lengths { Some(counted(graph, h)) } else { None };
    let over_time = [("axes", Attribute::Ints(&[0])), ("keepdims", Attribute::Int(0))];
    let [max, mean] = wanted;
    let mut parts = Vec::new();
    if max {
        let h = match &counted {
            Some(counted) => {
                let low = graph.floats("low", &[], &[LOW]);
                graph.add("Where", &[counted, h, &low], "h.or_low", &[])
            }
            None => h.to_string(),
        };
        parts.push(graph.add("ReduceMax", &[&h], "max", &over_time));
    }
    if mean {
        parts.push(match &counted {
            Some(counted) => {
                let zero = graph.floats("zero", &[], &[0.0]);
                let h = graph.add("Where", &[counted, h, &zero], "h.or_zero", &[]);
                let axes = graph.ints("time_axis", &[0], &[1]);
                let sum = graph.add("ReduceSum", &[&h, &axes], "sum", &[("keepdims", Attribute::Int(0))]);
                let count = graph.add("Cast", &["lengths"], "count", &[("to", Attribute::Int(1))]); // float
                let axes = graph.ints("unit_axis", &[1], &[1]);
                let count = graph.add("Unsqueeze", &[&count, &axes], "count_column", &[]);
                graph.add("Div", &[&sum, &count], "mean", &[])
            }
            None => graph.add("ReduceMean", &[h], "mean", &over_time),
        });
    }
    match &parts[..] {
        [one] => one.clone(),
        many => {
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            graph.add("Concat", &many, "pooled", &[("axis", Attribute::Int(1))])
        }
    }
}

/// Which steps count, `[time, batch, 1]`.
fn counted(graph: &mut Graph, h: &str) -> String {
    let shape = graph.add("Shape", &[h], "h.shape_all", &[]);
    let [first, one] = [("first", 0), ("one", 1)].map(|(name, value)| graph.ints(name, &[value], &[]));
    let time = graph.add("Gather", &[&shape, &first], "steps", &[]);
    let steps = graph.add("Range", &[&first, &time, &one], "step", &[]);
    let axes = graph.ints("step.axes", &[1, 2], &[2]);
    let steps = graph.add("Unsqueeze", &[&steps, &axes], "step_column", &[]);
    let axes = graph.ints("lengths.axes", &[0, 2], &[2]);
    let lengths = graph.add("Unsqueeze", &["lengths", &axes], "lengths_row", &[]);
    graph.add("Less", &[&steps, &lengths], "counted", &[])
}
