//! One session of the encoder: tokens in, a unit vector and the logit of *none* out.

use std::path::Path;

use ort::{
    session::{Session, SessionOutputs},
    value::{Outlet, Tensor},
};

use crate::{
    classifier::{
        ClassifierFault,
        onnx::{manifest::fault, session::Runtime, window::Tokens},
    },
    classify::Unclassified,
};

/// The length of a vector.
pub(super) const WIDTH: usize = 384;
/// The graph's file.
const GRAPH: &str = "encoder.onnx";
/// The graph's inputs and outputs.
const INPUTS: [&str; 3] = ["ids", "types", "task"];
const OUTPUTS: [&str; 2] = ["vector", "none"];

/// One session.
pub(super) struct Encoder {
    session: Session,
}

/// What the encoder makes of a text.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    /// Of unit length.
    pub(super) vector: Vec<f32>,
    /// The logit of *none*; of a task it means nothing.
    pub(super) none: f32,
}

/// What a text is, which decides how its tokens are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A conversation.
    Conversation,
    /// A task.
    Task,
}

impl Encoder {
    /// Opens the graph in `folder`.
    pub(super) fn open(runtime: &Runtime, folder: &Path) -> Result<Self, ClassifierFault> {
        let path = folder.join(GRAPH);
        let session = runtime.open(&path)?;
        let inputs = session.inputs().iter().map(Outlet::name);
        let outputs = session.outputs().iter().map(Outlet::name);
        if !inputs.eq(INPUTS) || !outputs.eq(OUTPUTS) {
            let text = format!(
                "must have inputs {} and outputs {}",
                INPUTS.join(", "),
                OUTPUTS.join(", ")
            );
            return Err(fault(&path, text));
        }
        Ok(Self { session })
    }

    /// Runs one sequence.
    pub(super) fn run(&mut self, tokens: &Tokens, kind: Kind) -> Result<Encoded, Unclassified> {
        let down = |error: ort::Error| Unclassified::Down(error.to_string());
        let length = i64::try_from(tokens.ids.len()).unwrap_or(i64::MAX);
        let task = if kind == Kind::Task { 1.0_f32 } else { 0.0 };
        let tensor = |values: &[i64]| Tensor::from_array(([1, length], values.to_vec()));
        let inputs = ort::inputs![
            tensor(&tokens.ids).map_err(down)?,
            tensor(&tokens.types).map_err(down)?,
            Tensor::from_array(([1_i64], vec![task])).map_err(down)?,
        ];
        let outputs = self.session.run(inputs).map_err(down)?;
        let vector = numbers(&outputs, OUTPUTS[0], WIDTH)?;
        let none = numbers(&outputs, OUTPUTS[1], 1)?;
        Ok(Encoded { vector, none: none.first().copied().unwrap_or(f32::NAN) })
    }
}

/// The finite numbers of an output that must have `length` of them.
fn numbers(
    outputs: &SessionOutputs<'_>,
    name: &str,
    length: usize,
) -> Result<Vec<f32>, Unclassified> {
    let malformed = |text: &str| Unclassified::Malformed(format!("{name} {text}"));
    let value = outputs.get(name).ok_or_else(|| malformed("is missing"))?;
    let (_, numbers) =
        value.try_extract_tensor::<f32>().map_err(|_| malformed("is not of 32-bit floats"))?;
    if numbers.len() != length {
        return Err(malformed("has the wrong shape"));
    }
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(malformed("holds what is not a number"));
    }
    Ok(numbers.to_vec())
}
