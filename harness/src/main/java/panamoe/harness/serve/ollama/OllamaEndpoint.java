package panamoe.harness.serve.ollama;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import panamoe.harness.serve.completion.Completions;
import panamoe.harness.serve.completion.Conversation;
import panamoe.harness.serve.http.Fields;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;

/** Ollama's chat and its list of models. Thread-safe. */
public record OllamaEndpoint(ServedModel model, Completions completions) {
  record Models(List<Model> models) {}

  /**
   * @param digest of everything that results depend on in addition to requests
   */
  record Model(String name, String model, String modifiedAt, String digest) {}

  public void chat(HttpExchange call) throws IOException, InterruptedException {
    Fields fields = call.fields();
    model.requireNamed(fields);
    Conversation conversation = OllamaRequest.of(fields, model.requireChat());
    completions.converse(
        call, fields, conversation, -1, request -> new OllamaForm(completions.head("", fields)));
  }

  public void tags(HttpExchange call) throws IOException {
    String loaded = Instant.ofEpochSecond(model.created()).toString();
    call.respond(
        new Models(
            model.names().stream()
                .map(name -> new Model(name, name, loaded, model.fingerprint()))
                .toList()));
  }
}
