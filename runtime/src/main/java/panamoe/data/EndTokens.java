package panamoe.data;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.data.tokenizer.Pipeline;
import panamoe.io.DataException;
import tools.jackson.databind.JsonNode;

/** Collects the tokens that end a completion, the end of a document first. */
final class EndTokens {
  /** Names of tokens that end a document, the most common first. */
  private static final List<String> DOCUMENT =
      List.of(
          "<|endoftext|>",
          "<|end_of_text|>",
          "</s>",
          "<eos>",
          "<|eos|>",
          "<|im_end|>",
          "<｜end▁of▁sentence｜>",
          "[EOS]",
          "[SEP]");

  /** Names of tokens that end a turn; the files need not list them. */
  private static final List<String> TURN =
      List.of("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|return|>", "<|call|>");

  private final Pipeline pipeline;
  private final Set<Integer> ids = new LinkedHashSet<>();

  EndTokens(Pipeline pipeline) {
    this.pipeline = pipeline;
  }

  /**
   * The special token that ends a document.
   *
   * @param name of the token; empty for one of the common names
   * @throws DataException if the token does not exist
   */
  static int document(Pipeline pipeline, Optional<String> name, String file) {
    List<String> names = name.map(List::of).orElse(DOCUMENT);
    return special(pipeline, names)
        .findFirst()
        .orElseThrow(
            () ->
                new DataException(
                    "%s has no special token %s to end a text", file, String.join(" or ", names)));
  }

  private static Stream<Integer> special(Pipeline pipeline, List<String> names) {
    return names.stream().map(pipeline.special()::get).filter(Objects::nonNull);
  }

  boolean isEmpty() {
    return ids.isEmpty();
  }

  void add(int id) {
    ids.add(id);
  }

  /** Adds a special token, if it exists. */
  void add(String name) {
    Integer id = pipeline.special().get(name);
    if (id != null) {
      ids.add(id);
    }
  }

  /**
   * Adds the value of {@code eos_token_id}: a number, a list of numbers, or nothing.
   *
   * @throws DataException if a number is not a token's id
   */
  void add(JsonNode given, String file) {
    if (given.isMissingNode() || given.isNull()) {
      return;
    }
    for (JsonNode id : given.isArray() ? given : List.of(given)) {
      int tokens = pipeline.bytes().length;
      if (!id.isInt() || id.intValue() < 0 || id.intValue() >= tokens) {
        throw new DataException(
            file + " has an eos_token_id that is not the number of one of " + tokens + " tokens");
      }
      ids.add(id.intValue());
    }
  }

  /** Puts a common name first: Qwen3 lists the end of a message before that of a document. */
  void documentFirst() {
    special(pipeline, DOCUMENT)
        .filter(ids::contains)
        .findFirst()
        .ifPresent(
            document -> {
              List<Integer> all = List.copyOf(ids);
              ids.clear();
              ids.add(document);
              ids.addAll(all);
            });
  }

  /**
   * All end tokens, with the special tokens that end a turn by their names.
   *
   * @param file its name, for messages
   * @throws DataException if there is no end token
   */
  int[] all(String file) {
    if (ids.isEmpty()) {
      ids.add(document(pipeline, Optional.empty(), file));
    }
    TURN.forEach(this::add);
    // In the harmony format, where <|return|> ends the turn, it ends only a message.
    if (!pipeline.special().containsKey("<|return|>")) {
      add("<|end|>");
    }
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }
}
