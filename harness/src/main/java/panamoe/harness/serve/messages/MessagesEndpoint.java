package panamoe.harness.serve.messages;

import java.io.IOException;
import panamoe.harness.serve.completion.Completions;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;

/** Anthropic's Messages API. Thread-safe. */
public record MessagesEndpoint(ServedModel model, Completions completions) {
  record TokenCount(int inputTokens) {}

  public void create(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    fields.required("max_tokens");
    MessagesRequest request = MessagesRequest.of(fields, model.requireChat());
    completions.converse(
        call,
        fields,
        request.conversation(),
        -1,
        completion ->
            new MessagesForm(
                completions.head("msg_", fields), completion, request, call.record().id()));
  }

  /** The number of the prompt's tokens. */
  public void countTokens(HttpExchange call) throws IOException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    MessagesRequest request = MessagesRequest.of(fields, model.requireChat());
    fields.requireNoOthers();
    call.respond(new TokenCount(request.conversation().tokens().length));
  }
}
