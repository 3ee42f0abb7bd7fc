package panamoe.peers;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import panamoe.lab.bench.PeerRequest;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A peer's library, which runs questions. Used by one thread. */
interface PeerRun extends AutoCloseable {
  /** Of the library. */
  String version();

  /** Runs the question for its seconds; returns the milliseconds of each call. */
  double[] burst(PeerRequest question) throws Exception;

  /** Answers what was asked in JSON: how long calls of a question took. */
  default Object answer(JsonNode question, JsonMapper json) throws Exception {
    return Map.of("ms", burst(json.treeToValue(question, PeerRequest.class)));
  }

  @Override
  void close();

  /**
   * Loads a library.
   *
   * @param arguments its name in {@code panamoe bench --peer}; for llama also the folder that
   *     ci/fetch/peers installs it to, and the seed of the weights
   */
  static PeerRun of(String... arguments) {
    if (!arguments[0].equals("llama")) {
      return new LayerRun(PeerLibrary.valueOf(arguments[0].toUpperCase(Locale.ROOT)));
    }
    Path library = Path.of(arguments[1]);
    return new LlamaRun(library, library.resolveSibling("weights"), Long.parseLong(arguments[2]));
  }
}
