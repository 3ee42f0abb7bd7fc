package panamoe.data;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.data.tokenizer.Pipeline;
import tools.jackson.databind.JsonNode;

/** Collects the tokens at which a model ends a text, the one that ends a document first. */
final class EndTokens {
  /** Names of tokens that end a document, the most usual first. */
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

  /** Names of tokens that end a turn, whatever the files say. */
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
   * @param name of the token; empty for one of the usual names
   * @throws DataException if there is no such token
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

  /** Adds a special token, if there is one of this name. */
  void add(String name) {
    Integer id = pipeline.special().get(name);
    if (id != null) {
      ids.add(id);
    }
  }

  /**
   * Adds what a configuration gives as {@code eos_token_id}: a number, a list of them, or nothing.
   *
   * @throws DataException if one of them is not the number of a token
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

  /**
   * Puts the one of a usual name first: Qwen3 ends a message by one token and a document by
   * another, which it names second.
   */
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
   * All of them, with those special tokens that end a turn by their names.
   *
   * @param file its name in messages
   * @throws DataException if nothing says how a text ends
   */
  int[] all(String file) {
    if (ids.isEmpty()) {
      ids.add(document(pipeline, Optional.empty(), file));
    }
    TURN.forEach(this::add);
    // In the harmony format, which has <|return|>, it ends a message, and the turn goes on.
    if (!pipeline.special().containsKey("<|return|>")) {
      add("<|end|>");
    }
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }
}
