package panamoe.harness.serve.messages;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.engine.Generation;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.CompletionRequest;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.completion.Usage;
import panamoe.harness.serve.http.ApiError;
import panamoe.io.Sha256;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** Responses of Anthropic's Messages API. A stream is a series of blocks, each in pieces. */
public final class MessagesForm implements ResponseForm {
  /** A response; without content and an end at the beginning of a stream. */
  record Message(
      String id,
      String type,
      String role,
      String model,
      List<Block> content,
      String stopReason,
      String stopSequence,
      Tokens usage) {
    Message(Head head, List<Block> content, Stop stop, Tokens usage) {
      this(
          head.id(),
          "message",
          "assistant",
          head.model(),
          content,
          stop.stopReason,
          stop.stopSequence,
          usage);
    }
  }

  /**
   * Text, thoughts or a call; or a piece of one.
   *
   * @param signature of thoughts; nobody checks it, but clients drop thoughts without one
   * @param partialJson a piece of a call's input
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Block(
      String type,
      String text,
      String thinking,
      String signature,
      String id,
      String name,
      JsonNode input,
      String partialJson) {
    static Block text(String type, String text) {
      return new Block(type, text, null, null, null, null, null, null);
    }

    static Block thinking(String type, String thoughts, String signature) {
      return new Block(type, null, thoughts, signature, null, null, null, null);
    }

    static Block call(String id, String name, JsonNode input) {
      return new Block("tool_use", null, null, null, id, name, input, null);
    }

    static Block input(String piece) {
      return new Block("input_json_delta", null, null, null, null, null, null, piece);
    }
  }

  /**
   * The end of a response.
   *
   * @param stopSequence the request's stop sequence that ended it; null for none
   */
  record Stop(String stopReason, String stopSequence) {
    static final Stop NONE = new Stop(null, null);
  }

  /**
   * The numbers of tokens.
   *
   * @param inputTokens without those from the cache
   */
  record Tokens(
      long inputTokens,
      long cacheCreationInputTokens,
      long cacheReadInputTokens,
      long outputTokens,
      Details outputTokensDetails) {
    record Details(long thinkingTokens) {}

    static Tokens of(Usage usage) {
      long cached = usage.promptTokensDetails().cachedTokens();
      return new Tokens(
          usage.promptTokens() - cached,
          0,
          cached,
          usage.completionTokens(),
          new Details(usage.completionTokensDetails().reasoningTokens()));
    }
  }

  /** An event of a stream, with what its type has. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Event(
      String type, Integer index, Message message, Block contentBlock, Object delta, Tokens usage) {
    static ServerEvent of(String type) {
      return new Event(type, null, null, null, null, null).sent();
    }

    static ServerEvent of(String type, int index, Block content, Block delta) {
      return new Event(type, index, null, content, delta, null).sent();
    }

    ServerEvent sent() {
      return new ServerEvent(type, this);
    }
  }

  /** An error as JSON. */
  public record Failure(String type, Error error, String requestId) {
    record Error(String type, String message, Details details) {}

    record Details(String errorCode) {}
  }

  private final Head head;
  private final CompletionRequest completion;
  private final MessagesRequest request;
  private final String requestId;
  // The stream's open block.
  private int index = -1;
  private String open = ""; // its type; empty for none
  private final StringBuilder thoughts = new StringBuilder();

  MessagesForm(Head head, CompletionRequest completion, MessagesRequest request, String requestId) {
    this.requestId = requestId;
    this.head = head;
    this.completion = completion;
    this.request = request;
  }

  @Override
  public Head head() {
    return head;
  }

  /** An error in Anthropic's form. */
  public static Failure failure(ApiError error, String requestId) {
    String type =
        switch (error.status()) {
          case 401 -> "authentication_error";
          case 403 -> "permission_error";
          case 404 -> "not_found_error";
          case 413 -> "request_too_large";
          case 429 -> "rate_limit_error";
          case 500 -> "api_error";
          case 503 -> "overloaded_error";
          case 504 -> "timeout_error";
          default -> "invalid_request_error";
        };
    Failure.Details details = new Failure.Details(error.body().error().code());
    Failure.Error told = new Failure.Error(type, error.getMessage(), details);
    return new Failure("error", told, requestId);
  }

  @Override
  public Message whole(List<StreamedChoice> texts, Usage usage) {
    StreamedChoice text = texts.getFirst();
    List<Block> content = new ArrayList<>();
    if (!text.reasoning().isEmpty()) {
      content.add(Block.thinking("thinking", shown(text.reasoning()), signature(text.reasoning())));
    }
    if (!text.content().isEmpty()) {
      content.add(Block.text("text", text.content()));
    }
    text.calls().forEach(call -> content.add(Block.call(call.id(), call.name(), input(call))));
    return new Message(head, content, stop(text), Tokens.of(usage));
  }

  /** The arguments of a call; none if it was cut off. */
  private static JsonNode input(FunctionCall call) {
    try {
      return call.object();
    } catch (IllegalArgumentException _) {
      return JsonNodeFactory.instance.objectNode();
    }
  }

  private String shown(String thinking) {
    return request.thoughts() ? thinking : "";
  }

  private static String signature(String thinking) {
    byte[] digest = Sha256.digest().digest(thinking.getBytes(StandardCharsets.UTF_8));
    return Base64.getEncoder().encodeToString(digest);
  }

  private Stop stop(StreamedChoice text) {
    Generation generation = text.generation();
    String found = generation.end() == Generation.End.STOP ? generation.stopString() : null;
    boolean asked =
        found != null
            && request.stops().valueStream().anyMatch(stop -> stop.asString().equals(found));
    return switch (text.finish().reason()) {
      case "tool_calls" -> new Stop("tool_use", null);
      case "length" -> new Stop("max_tokens", null);
      default -> asked ? new Stop("stop_sequence", found) : new Stop("end_turn", null);
    };
  }

  @Override
  public List<ServerEvent> open() {
    Tokens tokens =
        new Tokens(
            completion.promptTokens(), 0, 0, 0, new Tokens.Details(0)); // the end corrects it
    Message message = new Message(head, List.of(), Stop.NONE, tokens);
    return List.of(
        new Event("message_start", null, message, null, null, null).sent(), Event.of("ping"));
  }

  @Override
  public List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read) {
    List<ServerEvent> events = new ArrayList<>();
    if (!read.reasoning().isEmpty()) {
      require(Block.thinking("thinking", "", ""), events);
      thoughts.append(read.reasoning());
      if (request.thoughts()) {
        delta(Block.thinking("thinking_delta", read.reasoning(), null), events);
      }
    }
    if (!read.content().isEmpty()) {
      require(Block.text("text", ""), events);
      delta(Block.text("text_delta", read.content()), events);
    }
    for (FunctionCall.Piece call : read.calls()) {
      if (call.id() != null) {
        close(events);
        require(Block.call(call.id(), call.name(), JsonNodeFactory.instance.objectNode()), events);
      }
      if (!call.arguments().isEmpty()) {
        delta(Block.input(call.arguments()), events);
      }
    }
    return events;
  }

  /** Opens a block, unless one of its type is open. */
  private void require(Block block, List<ServerEvent> events) {
    if (open.equals(block.type())) {
      return;
    }
    close(events);
    open = block.type();
    index++;
    events.add(Event.of("content_block_start", index, block, null));
  }

  private void delta(Block delta, List<ServerEvent> events) {
    events.add(Event.of("content_block_delta", index, null, delta));
  }

  private void close(List<ServerEvent> events) {
    if (open.isEmpty()) {
      return;
    }
    if (open.equals("thinking")) {
      delta(Block.thinking("signature_delta", null, signature(thoughts.toString())), events);
      thoughts.setLength(0);
    }
    open = "";
    events.add(Event.of("content_block_stop", index, null, null));
  }

  @Override
  public List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read) {
    List<ServerEvent> events = piece(null, read);
    close(events);
    return events;
  }

  @Override
  public List<ServerEvent> close(List<StreamedChoice> texts, Usage usage) {
    Stop stop = stop(texts.getFirst());
    Event end = new Event("message_delta", null, null, null, stop, Tokens.of(usage));
    return List.of(end.sent(), Event.of("message_stop"));
  }

  @Override
  public List<ServerEvent> error(ApiError error) {
    return List.of(new ServerEvent("error", failure(error, requestId)));
  }
}
