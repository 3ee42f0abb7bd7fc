package panamoe.harness.serve.ollama;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.time.Instant;
import java.util.List;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.engine.Generation;
import panamoe.harness.serve.completion.ChoiceEvent;
import panamoe.harness.serve.completion.ResponseForm;
import panamoe.harness.serve.completion.ServerEvent;
import panamoe.harness.serve.completion.StreamedChoice;
import panamoe.harness.serve.completion.Usage;
import panamoe.harness.serve.http.ApiError;
import tools.jackson.databind.JsonNode;

/** Responses of Ollama's chat. A stream is lines of JSON; calls are in one line, whole. */
public record OllamaForm(Head head) implements ResponseForm {
  public record Failure(String error) {}

  /** A response, or a line of one. */
  record Body(
      String model,
      String createdAt,
      Message message,
      boolean done,
      @JsonUnwrapped @JsonInclude(JsonInclude.Include.NON_NULL) End end) {}

  record Message(
      String role,
      String content,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) String thinking,
      @JsonInclude(JsonInclude.Include.NON_EMPTY) List<Call> toolCalls) {}

  record Call(String id, Function function) {
    record Function(int index, String name, JsonNode arguments) {}
  }

  /** Durations in nanoseconds. */
  record End(
      String doneReason,
      long totalDuration,
      long loadDuration,
      long promptEvalCount,
      long promptEvalDuration,
      long evalCount,
      long evalDuration) {}

  public static Failure failure(ApiError error) {
    return new Failure(error.getMessage());
  }

  @Override
  public boolean lines() {
    return true;
  }

  @Override
  public Body whole(List<StreamedChoice> texts, Usage usage) {
    StreamedChoice text = texts.getFirst();
    return body(text.content(), text.reasoning(), calls(text), end(text, usage));
  }

  private static List<Call> calls(StreamedChoice text) {
    if (!text.finish().reason().equals("tool_calls")) {
      return List.of(); // none, or cut off
    }
    List<FunctionCall> calls = text.calls();
    return calls.stream()
        .map(
            call ->
                new Call(
                    call.id(), new Call.Function(calls.indexOf(call), call.name(), call.object())))
        .toList();
  }

  private static End end(StreamedChoice text, Usage usage) {
    Generation.Times times = text.generation().times();
    long first = times.first() == 0 ? times.ended() : times.first();
    return new End(
        text.finish().reason().equals("length") ? "length" : "stop",
        times.ended() - times.submitted(),
        0,
        usage.promptTokens(),
        Math.max(0, first - times.started()),
        usage.completionTokens(),
        times.ended() - first);
  }

  private Body body(String content, String thoughts, List<Call> calls, End end) {
    return new Body(
        head.model(),
        Instant.now().toString(),
        new Message("assistant", content, thoughts, calls),
        end != null,
        end);
  }

  private List<ServerEvent> line(Reply.Read read, List<Call> calls) {
    return read.content().isEmpty() && read.reasoning().isEmpty() && calls.isEmpty()
        ? List.of()
        : List.of(ServerEvent.line(body(read.content(), read.reasoning(), calls, null)));
  }

  @Override
  public List<ServerEvent> piece(ChoiceEvent.Piece piece, Reply.Read read) {
    return line(read, List.of());
  }

  @Override
  public List<ServerEvent> end(int choice, StreamedChoice text, Reply.Read read) {
    return line(read, calls(text));
  }

  @Override
  public List<ServerEvent> close(List<StreamedChoice> texts, Usage usage) {
    End end = end(texts.getFirst(), usage);
    return List.of(ServerEvent.line(body("", "", List.of(), end)));
  }

  @Override
  public List<ServerEvent> error(ApiError error) {
    return List.of(ServerEvent.line(failure(error)));
  }
}
