//! How providers say that a conversation is too long for a model: there is no common code for it.
//!
//! A wording is a set of phrases that all stand in the message, in lower case. Each is specific to the prompt: that
//! `max_tokens` is above what a model may answer with is another mistake, which a larger window does not cure.

/// Codes and types that mean it.
const NAMES: &[&str] = &[
    "context_length_exceeded",       // OpenAI and many after it
    "exceed_context_size_error",     // llama.cpp
    "context_exceeded",              // ds4
    "model_context_window_exceeded", // Z.ai
    "max_context_length_exceeded",
    "context_window_exceeded",
    "string_above_max_length",
    "tokens_limit_reached", // GitHub Models
];

/// Wordings that mean it, with who uses them.
const WORDINGS: &[&[&str]] = &[
    &["prompt is too long"],                      // Anthropic, Fireworks
    &["exceed context limit"],                    // Anthropic, with max_tokens
    &["input is too long"],                       // Bedrock
    &["maximum context length"], // OpenAI, vLLM, DeepSeek, OpenRouter, Mistral, SGLang
    &["exceeds the context window"], // OpenAI Responses
    &["reduce the length of the"], // OpenAI, Groq, Cerebras
    &["longer than the maximum model length"], // vLLM
    &["longer than the model", "context length"], // Together, SGLang
    &["maximum allowed input length"], // OpenRouter
    &["exceeds the maximum allowed length"], // SGLang
    &["exceeds the available context size"], // llama.cpp
    &["exceeds context size"],   // ds4
    &["configured context size"], // ds4
    &["context size has been exceeded"], // LM Studio
    &["than the context length"], // LM Studio
    &["context length of only"], // LM Studio
    &["token count", "exceeds the maximum number of tokens"], // Gemini
    &["maximum prompt length"],  // xAI
    &["prompt token count", "exceeds the limit"], // GitHub Copilot
    &["`inputs` tokens + `max_new_tokens` must be"], // text-generation-inference
    &["`inputs` must have less than"], // text-generation-inference
    &["prompt too long"],        // Ollama
    &["input length exceeds"],   // Ollama
    &["prompt exceeds max length"], // Z.ai
    &["context window exceeds limit"], // MiniMax
    &["exceeded model token limit"], // Moonshot
    &["range of input length should be"], // DashScope
    &["too many tokens"],        // Cohere
    &["too many input tokens"],  // Bedrock
    &["token limit exceeded"],
    &["context length exceeded"],
    &["context_length_exceeded"],
    &["context window", "exceed"],
];

/// Whether a code or a type means it.
pub(super) fn names_overflow(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether a message says it.
pub(super) fn tells_overflow(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    WORDINGS.iter().any(|phrases| phrases.iter().all(|phrase| message.contains(phrase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_messages_are_understood() {
        for message in [
            "This model's maximum context length is 4097 tokens. However, your messages resulted in 4301 tokens.",
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "prompt is too long: 215000 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 90402 + 116650 > 204648, decrease input length",
            "Input is too long for requested model.",
            "The decoder prompt (length 10000) is longer than the maximum model length of 4096.",
            "The input (150000 tokens) is longer than the model's context length (128000 tokens).",
            "Input length 300000 exceeds the maximum allowed input length of 262144 tokens.",
            "request (10000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "Prompt tokens (9) exceeds context size (8)",
            "tokens to keep from the initial prompt is greater than the context length",
            "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
            "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
            "prompt token count of 130000 exceeds the limit of 128000",
            "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`",
            "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "invalid params, context window exceeds limit (2013)",
            "Your request exceeded model token limit: 8192",
            "Range of input length should be [1, 129024]",
            "too many tokens: total number of tokens in the prompt exceeds the limit",
            "Please reduce the length of the messages or completion.",
        ] {
            assert!(tells_overflow(message), "{message}");
        }
    }

    #[test]
    fn other_mistakes_are_not_mistaken_for_it() {
        for message in [
            "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens",
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
            "Invalid type for 'messages[0].content'",
            "Rate limit reached for requests",
            "image exceeds 5 MB maximum",
            "Unsupported parameter: 'max_tokens'",
            "",
        ] {
            assert!(!tells_overflow(message), "{message}");
        }
    }
}
