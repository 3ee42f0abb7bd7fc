package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.util.List;

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
   */
  record Model(
      String id, String object, long created, String ownedBy, int maxModelLen, boolean chat) {}

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
    call.respond(new Models("list", List.of(described())));
  }

  void model(HttpExchange call) throws IOException {
    String asked = call.path().substring(MODELS.length() + 1);
    if (!asked.equals(model.name())) {
      throw ApiError.noModel(asked, model.name());
    }
    call.respond(described());
  }

  private Model described() {
    return new Model(
        model.name(), "model", model.created(), "panamoe", model.context(), model.talks());
  }
}
