//! How alike two tasks are to the encoder, from their vectors alone.
//!
//! Every conversation is judged by its products with the tasks' vectors, so the request that is easiest to give to a
//! task points exactly as that task does. What the other task would still get of it, of the two, is a probability, and
//! unlike a cosine it means the same for a model with another scale.
//!
//! There are as many pairs as the square of the tasks, millions for the largest router that fits in a file, and whoever
//! asks may be what signals and reloads wait for: it lets others in between.

use tokio::task::yield_now;

use crate::{classifier::onnx::dot, classify::Likeness};

/// Each two of `tasks`; `sharpness` is what a product is multiplied by before the softmax.
pub(super) async fn of(tasks: &[Vec<f32>], sharpness: f64) -> Vec<Likeness> {
    let owns: Vec<f64> = tasks.iter().map(|task| dot(task, task)).collect();
    let mut pairs = Vec::new();
    for (other, (second, second_own)) in tasks.iter().zip(&owns).enumerate() {
        for (one, (first, first_own)) in tasks.iter().zip(&owns).enumerate().take(other) {
            let shared = dot(first, second);
            let doubt = f64::midpoint(
                doubt(*first_own, shared, sharpness),
                doubt(*second_own, shared, sharpness),
            );
            pairs.push(Likeness { one, other, doubt });
        }
        yield_now().await;
    }
    pairs
}

/// What a request that points as a task does gives to another: `own` is the task's product with itself, `shared` that
/// with the other.
fn doubt(own: f64, shared: f64, sharpness: f64) -> f64 {
    let length = own.sqrt();
    if length > 0.0 { 1.0 / (1.0 + (sharpness * (own - shared) / length).exp()) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn equal_tasks_are_a_toss_up_and_unlike_ones_no_doubt() {
        let pairs = of(&[vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]], 20.0).await;
        let doubts: Vec<(usize, usize, f64)> =
            pairs.iter().map(|pair| (pair.one, pair.other, pair.doubt)).collect();
        assert!((doubts[0].2 - 0.5).abs() < 1e-9 && doubts[1].2 < 1e-8 && doubts[2].2 < 1e-8);
        assert_eq!((doubts[2].0, doubts[2].1), (1, 2));
    }

    #[tokio::test]
    async fn what_is_said_less_clearly_is_told_apart_less() {
        let doubt =
            async |length: f32| of(&[vec![length, 0.0], vec![0.0, length]], 20.0).await[0].doubt;
        assert!(doubt(0.1).await > doubt(1.0).await && doubt(0.0).await > 0.4);
    }
}
