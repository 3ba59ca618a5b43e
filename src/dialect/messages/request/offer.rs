//! Tools and choice as Messages takes them.
//!
//! A structured answer is asked for with a tool whose input is the answer, which the model is made to call: every model
//! behind this API knows tools. Where the caller has tools of its own, the model must call one of them or that one.

use crate::dialect::{
    ir::{
        Format, Marker, Request,
        tool::{Tool, ToolChoice},
    },
    json::Writer,
    messages::request::encode::{hinted, write_marker},
    request::names::{digest, tool_name},
};

/// The tool that stands for a structured answer, unless the caller has one of that name.
const STRUCTURED: &str = "json_output";

/// The schema of a tool that has none.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// The tools, with the one that stands for a structured answer, and which of them the model must call.
pub(super) struct Offer<'r, 'a> {
    tools: Vec<&'r Tool<'a>>,
    choice: Option<ToolChoice<'r>>,
    /// The name of the tool that stands for a structured answer.
    pub(super) structured: Option<String>,
}

impl<'r> Offer<'r, '_> {
    pub(super) fn new(request: &'r Request<'_>) -> Offer<'r, 'r> {
        let tools = &request.tools;
        let mut list: Vec<_> = tools.list.iter().collect();
        let mut choice = tools.choice.clone().filter(|_| !list.is_empty());
        if let Some(ToolChoice::Allowed { required, names }) = &choice {
            list.retain(|tool| names.contains(&tool.name));
            choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
        }
        let forced = matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        let mut structured = None;
        if request.response_format != Format::Text && !forced {
            let taken = list.iter().any(|tool| tool.name == STRUCTURED);
            let name = if taken {
                format!("{STRUCTURED}_{}", digest(STRUCTURED, 8))
            } else {
                STRUCTURED.to_owned()
            };
            let alone = list.is_empty() || choice == Some(ToolChoice::None);
            choice = Some(if alone {
                ToolChoice::Named(name.clone().into())
            } else {
                ToolChoice::Required
            });
            structured = Some(name);
        }
        Offer { tools: list, choice, structured }
    }

    /// Whether the model must call a tool.
    pub(super) const fn forces(&self) -> bool {
        matches!(self.choice, Some(ToolChoice::Required | ToolChoice::Named(_)))
    }

    /// Writes `tools` and `tool_choice`.
    pub(super) fn write(&self, request: &Request<'_>, writer: &mut Writer) {
        if self.tools.is_empty() && self.structured.is_none() {
            return;
        }
        writer.array_member("tools");
        let marker = hinted(request);
        let last = self.tools.len().saturating_sub(1);
        for (at, tool) in self.tools.iter().enumerate() {
            write_tool(tool, marker.filter(|_| at == last), writer);
        }
        if let Some(name) = &self.structured {
            write_structured(&request.response_format, name, writer);
        }
        writer.end_array();
        self.write_choice(request.tools.parallel, writer);
    }

    fn write_choice(&self, parallel: Option<bool>, writer: &mut Writer) {
        let (kind, name) = match &self.choice {
            None if parallel != Some(false) => return,
            None | Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) => ("auto", None),
            Some(ToolChoice::None) => ("none", None),
            Some(ToolChoice::Required) => ("any", None),
            Some(ToolChoice::Named(name)) => ("tool", Some(tool_name(name))),
        };
        writer.object_member("tool_choice");
        writer.string_member("type", kind);
        if let Some(name) = name {
            writer.string_member("name", &name);
        }
        if parallel == Some(false) && kind != "none" {
            writer.bool_member("disable_parallel_tool_use", true);
        }
        writer.end_object();
    }
}

fn write_tool(tool: &Tool<'_>, marker: Option<Marker>, writer: &mut Writer) {
    writer.begin_object();
    writer.string_member("name", &tool_name(&tool.name));
    if let Some(description) = &tool.description {
        writer.string_member("description", description);
    }
    let schema = tool.schema.filter(|schema| *schema != "{}");
    writer.raw_member("input_schema", schema.unwrap_or(NO_ARGUMENTS));
    write_marker(marker.or(tool.cache), writer);
    writer.end_object();
}

fn write_structured(format: &Format<'_>, name: &str, writer: &mut Writer) {
    let (schema, about) = match format {
        Format::Schema(schema) => (schema.schema, schema.description.as_deref()),
        Format::Text | Format::Object => (r#"{"type":"object","additionalProperties":true}"#, None),
    };
    writer.begin_object();
    writer.string_member("name", name);
    let description = "Gives the final answer. Call this once the answer is known; its input is the whole answer.";
    let about = about.map(|about| format!("{description} {about}"));
    writer.string_member("description", about.as_deref().unwrap_or(description));
    writer.raw_member("input_schema", schema);
    writer.end_object();
}
