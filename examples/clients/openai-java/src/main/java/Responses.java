import com.openai.client.OpenAIClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.errors.NotFoundException;
import com.openai.helpers.ResponseAccumulator;
import com.openai.models.responses.Response;
import com.openai.models.responses.ResponseCreateParams;
import com.openai.models.responses.ResponseFunctionToolCall;
import com.openai.models.responses.ResponseInputItem;
import com.openai.models.responses.ResponseStreamEvent;
import com.openai.models.responses.ToolChoiceOptions;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** What a client of a Panamoe server does with Responses. */
final class Responses {
  private final OpenAIClient client;
  private final String model;

  Responses(OpenAIClient client, String model) {
    this.client = client;
    this.model = model;
  }

  void run() {
    Response answer = respond(question().build());
    String text = textOf(answer);
    long tokens = answer.usage().get().outputTokens();
    Client.check(tokens > 0 && tokens <= 40);
    Client.said("respond", text);

    ResponseAccumulator told = ResponseAccumulator.create();
    try (StreamResponse<ResponseStreamEvent> stream =
        client.responses().createStreaming(question().build())) {
      stream.stream().forEach(told::accumulate);
    }
    Client.check(textOf(told.response()).equals(text));
    Client.check(told.response().usage().get().outputTokens() == tokens);
    Client.said("events", tokens + " tokens");

    // The server keeps responses, so that the next request needs only what is new.
    ResponseCreateParams more =
        question().input("And the guests?").previousResponseId(answer.id()).build();
    Response chained = respond(more);
    Client.check(textOf(client.responses().retrieve(answer.id())).equals(text));
    client.responses().delete(answer.id());
    try {
      respond(more);
      throw new AssertionError("a response that was forgotten was continued");
    } catch (NotFoundException e) {
      Client.check(e.param().equals(Optional.of("previous_response_id")));
    }
    Client.said("continue", textOf(chained));

    Client.Vote vote =
        client
            .responses()
            .create(question().maxOutputTokens(200).text(Client.Vote.class).build())
            .output()
            .stream()
            .flatMap(item -> item.message().stream())
            .flatMap(message -> message.content().stream())
            .flatMap(content -> content.outputText().stream())
            .findFirst()
            .get();
    Client.check(vote.ayes >= 0 && vote.ayes <= 99 && vote.outcome != null);
    Client.said("schema", vote.ayes + " ayes, " + vote.outcome);

    Response asked = respond(mayCall().toolChoice(ToolChoiceOptions.REQUIRED).build());
    ResponseFunctionToolCall call =
        asked.output().stream().flatMap(item -> item.functionCall().stream()).findFirst().get();
    Client.check(call.name().equals("CountVotes"));
    ResponseInputItem result =
        ResponseInputItem.ofFunctionCallOutput(
            ResponseInputItem.FunctionCallOutput.builder()
                .callId(call.callId())
                .output("17")
                .build());
    Response then =
        respond(
            mayCall().inputOfResponse(List.of(result)).previousResponseId(asked.id()).build());
    Client.said(
        "tools",
        "it counts "
            + call.arguments(Client.CountVotes.class).outcome
            + " and goes on: "
            + textOf(then));

    try {
      respond(question().inputOfResponse(List.of(result)).build());
      throw new AssertionError("a wrong request was answered");
    } catch (BadRequestException e) {
      Client.check(e.param().equals(Optional.of("input[0].call_id")));
      Client.said("error", e.getMessage());
    }

    try {
      respond(question().input("the vote ".repeat(100_000)).build());
      throw new AssertionError("a prompt beyond the context was answered");
    } catch (BadRequestException e) {
      Client.check(e.code().equals(Optional.of("context_length_exceeded")));
      Client.said("context", e.getMessage());
    }
  }

  /** With a seed, which is a field of this server, the same request has the same answer. */
  private ResponseCreateParams.Builder question() {
    return ResponseCreateParams.builder()
        .model(model)
        .instructions("Answer like a secretary.")
        .input("Whom does the committee thank?")
        .maxOutputTokens(40)
        .putAdditionalBodyProperty("seed", JsonValue.from(7));
  }

  /** The same with a function to call. */
  private ResponseCreateParams.Builder mayCall() {
    return question()
        .maxOutputTokens(200)
        .addTool(Client.CountVotes.class)
        .parallelToolCalls(false);
  }

  private Response respond(ResponseCreateParams question) {
    return client.responses().create(question);
  }

  private static String textOf(Response response) {
    return response.output().stream()
        .flatMap(item -> item.message().stream())
        .flatMap(message -> message.content().stream())
        .flatMap(content -> content.outputText().stream())
        .map(part -> part.text())
        .collect(Collectors.joining());
  }
}
