package panamoe.harness.serve.responses;

import java.util.ArrayList;
import java.util.List;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.data.Tokenizer;
import panamoe.harness.serve.completion.ChatLogprobs;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.http.Json;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The items that a reply becomes in Responses, and the events while they grow. */
final class ResponsesOutput {
  /** What an item can be. */
  private enum Kind {
    MESSAGE("message", "msg_", "content", "content_part", "output_text", "output_text"),
    THOUGHTS("reasoning", "rs_", "content", "content_part", "reasoning_text", "reasoning_text"),
    SUMMARY(
        "reasoning",
        "rs_",
        "summary",
        "reasoning_summary_part",
        "reasoning_summary_text",
        "summary_text"),
    CALL("function_call", "fc_", "", "", "function_call_arguments", "");

    private final String type;
    private final String prefix;
    private final String parts; // the item's field with its only part; empty for none
    private final String partEvent;
    private final String textEvent;
    private final String part;

    Kind(
        String type, String prefix, String parts, String partEvent, String textEvent, String part) {
      this.type = type;
      this.prefix = prefix;
      this.parts = parts;
      this.partEvent = partEvent;
      this.textEvent = textEvent;
      this.part = part;
    }
  }

  private final String name;
  private final Kind thoughts;
  private final Tokenizer tokenizer;
  private final ArrayNode items = JsonNodeFactory.instance.arrayNode();
  private final List<ServerEvent> events = new ArrayList<>();
  private final List<ChoiceEvent.Sampled> untold = new ArrayList<>(); // their text was held back
  private int sequence;
  // The item that grows; null before the first.
  private Kind kind;
  private ObjectNode item;
  private ObjectNode part;
  private StringBuilder text;
  private int call;

  /**
   * @param name of the response, which ids of items have
   * @param summary whether thoughts are called a summary
   */
  ResponsesOutput(String name, boolean summary, Tokenizer tokenizer) {
    this.name = name;
    this.thoughts = summary ? Kind.SUMMARY : Kind.THOUGHTS;
    this.tokenizer = tokenizer;
  }

  /** The items so far. */
  ArrayNode items() {
    return items;
  }

  /** Adds an event. */
  ObjectNode event(String type) {
    ObjectNode event = JsonNodeFactory.instance.objectNode().put("type", type);
    events.add(new ServerEvent(type, event));
    return event.put("sequence_number", sequence++);
  }

  /** The events since the last call. */
  List<ServerEvent> events() {
    List<ServerEvent> all = List.copyOf(events);
    events.clear();
    return all;
  }

  /** Adds what a reply says. */
  void add(Reply.Read read, List<ChoiceEvent.Sampled> sampled) {
    untold.addAll(sampled);
    if (!read.reasoning().isEmpty()) {
      grow(thoughts, null, read.reasoning());
    }
    if (!read.content().isEmpty()) {
      grow(Kind.MESSAGE, null, read.content());
    }
    read.calls().forEach(piece -> grow(Kind.CALL, piece, piece.arguments()));
  }

  private void grow(Kind next, FunctionCall.Piece piece, String more) {
    if (kind != next || piece != null && piece.index() != call) {
      end(true);
      begin(next, piece);
    }
    text.append(more);
    ChatLogprobs logprobs = ChatLogprobs.of(tokenizer, untold);
    untold.clear();
    if (piece != null && more.isEmpty()) {
      return;
    }
    ObjectNode delta = ofPart("response." + kind.textEvent + ".delta").put("delta", more);
    if (kind == Kind.MESSAGE) {
      ArrayNode told = delta.putArray("logprobs");
      if (logprobs != null) {
        logprobs.content().forEach(token -> told.add(Json.tree(token)));
        ((ArrayNode) part.get("logprobs")).addAll(told);
      }
    }
  }

  private void begin(Kind next, FunctionCall.Piece piece) {
    kind = next;
    text = new StringBuilder();
    item =
        items
            .addObject()
            .put("id", next.prefix + name + "_" + (items.size() - 1))
            .put("type", next.type)
            .put("status", "in_progress");
    switch (next) {
      case MESSAGE -> item.put("role", "assistant").putArray("content");
      case THOUGHTS, SUMMARY -> item.putArray("summary");
      case CALL -> {
        call = piece.index();
        item.put("call_id", piece.id()).put("name", piece.name()).put("arguments", "");
      }
    }
    itemEvent("added");
    part = null;
    if (next != Kind.CALL) {
      part = JsonNodeFactory.instance.objectNode().put("type", next.part).put("text", "");
      if (next == Kind.MESSAGE) {
        part.putArray("annotations");
        part.putArray("logprobs");
      }
      ofPart("response." + next.partEvent + ".added").set("part", part.deepCopy());
    }
  }

  /**
   * Ends the item that grows.
   *
   * @param whole whether nothing of it is missing
   */
  void end(boolean whole) {
    if (kind == null) {
      return;
    }
    ObjectNode done = ofPart("response." + kind.textEvent + ".done");
    if (kind == Kind.CALL) {
      done.put("name", item.get("name").stringValue()).put("arguments", text.toString());
      item.put("arguments", text.toString());
    } else {
      done.put("text", text.toString());
      part.put("text", text.toString());
      if (kind == Kind.MESSAGE) {
        done.set("logprobs", part.get("logprobs"));
      }
      ofPart("response." + kind.partEvent + ".done").set("part", part);
      item.putArray(kind.parts).add(part);
    }
    item.put("status", whole ? "completed" : "incomplete");
    itemEvent("done");
    kind = null;
  }

  private void itemEvent(String what) {
    event("response.output_item." + what)
        .put("output_index", items.size() - 1)
        .set("item", item.deepCopy());
  }

  private ObjectNode ofPart(String type) {
    ObjectNode event =
        event(type)
            .put("item_id", item.get("id").stringValue())
            .put("output_index", items.size() - 1);
    return kind.parts.isEmpty() ? event : event.put(kind.parts + "_index", 0);
  }
}
