package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.time.Instant;
import java.util.List;
import panamoe.harness.serve.completion.ServerState;
import panamoe.harness.serve.http.AccessRecord;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;

/** The model and the server's state. Thread-safe. */
record StateEndpoint(ServedModel model) {
  static final String MODELS = "/v1/models";

  /**
   * @param progress of loading, 0 to 1; null otherwise
   */
  record Health(String status, @JsonInclude(JsonInclude.Include.NON_NULL) Double progress) {}

  record Models(String object, List<Model> data) {}

  /**
   * @param maxModelLen the context length in tokens
   * @param chat whether the model has conversations
   * @param chatTemplate whether they have a template; else they are lines
   * @param root the model of an adapter; its own name of a model
   * @param parent the model of an adapter; null of a model
   */
  record Model(
      String id,
      String object,
      long created,
      String ownedBy,
      int maxModelLen,
      boolean chat,
      boolean chatTemplate,
      String root,
      @JsonInclude(JsonInclude.Include.NON_NULL) String parent) {}

  /** The models in Anthropic's form. */
  record ModelPage(List<ModelInfo> data, boolean hasMore, String firstId, String lastId) {}

  record ModelInfo(
      String type, String id, String displayName, String createdAt, int maxInputTokens) {}

  /** Whether a request is of Anthropic's clients. */
  static boolean isOfAnthropic(HttpExchange call) {
    return call.header(AccessRecord.ANTHROPIC) != null;
  }

  /**
   * 200 if the server accepts requests, else 503.
   *
   * @param progress of loading, 0 to 1
   */
  void health(HttpExchange call, ServerState state, double progress) throws IOException {
    Double part = state == ServerState.LOADING ? Math.round(100 * progress) / 100.0 : null;
    call.respond(state == ServerState.READY ? 200 : 503, new Health(state.word(), part));
  }

  /** 200 unless the process must be restarted. */
  void live(HttpExchange call, ServerState state) throws IOException {
    call.respond(state == ServerState.FAILED ? 503 : 200, new Health(state.word(), null));
  }

  void models(HttpExchange call) throws IOException {
    call.respond(
        isOfAnthropic(call)
            ? new ModelPage(
                model.names().stream().map(this::info).toList(),
                false,
                model.name(),
                model.names().getLast())
            : new Models("list", model.names().stream().map(this::described).toList()));
  }

  void model(HttpExchange call) throws IOException {
    String asked = model.requireName(call.path().substring(MODELS.length() + 1));
    call.respond(isOfAnthropic(call) ? info(asked) : described(asked));
  }

  private ModelInfo info(String name) {
    String created = Instant.ofEpochSecond(model.created()).toString();
    return new ModelInfo("model", name, name, created, model.context());
  }

  private Model described(String name) {
    return new Model(
        name,
        "model",
        model.created(),
        "panamoe",
        model.context(),
        model.uses().talks(),
        model.chat().template().isPresent(),
        model.name(),
        name.equals(model.name()) ? null : model.name());
  }
}
