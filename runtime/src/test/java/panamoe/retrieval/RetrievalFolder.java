package panamoe.retrieval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import panamoe.data.TinyTokenizer;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A small model with the files of an embedding model, or the tokens of a reranker. */
public final class RetrievalFolder {
  /** The prompt named query. */
  public static final String QUERY = "Instruct: Find the hat.\nQuery:";

  /** The token after each text. */
  public static final int END = 376;

  private RetrievalFolder() {}

  /** Makes the folder of a model without files of sentence-transformers. */
  public static Path write(Path folder) throws IOException {
    Path recorded = Path.of("..", "lab", "golden", "hf", "qwen2_moe_b_dense_mix");
    try (Stream<Path> files = Files.list(recorded)) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    Path config = folder.resolve("config.json"); // questions of a reranker are longer than 256
    String longer = Files.readString(config).replace("embeddings\": 256", "embeddings\": 512");
    Files.writeString(config, longer);
    Files.writeString(folder.resolve("tokenizer.json"), tokenizer().toString());
    return folder;
  }

  /** Makes the folder of an embedding model. */
  public static Path write(Path folder, String pooling, boolean normalized) throws IOException {
    write(folder);
    Files.writeString(
        folder.resolve("modules.json"),
        """
        [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
         {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}%s]
        """
            .formatted(
                normalized
                    ? ", {\"path\": \"2_N\", \"type\": \"sentence_transformers.models.Normalize\"}"
                    : ""));
    Files.createDirectories(folder.resolve("1_Pooling"));
    Files.writeString(
        folder.resolve("1_Pooling/config.json"),
        """
        {"word_embedding_dimension": 48, "pooling_mode_cls_token": %s,
         "pooling_mode_mean_tokens": %s, "pooling_mode_max_tokens": false,
         "pooling_mode_lasttoken": %s, "include_prompt": true}
        """
            .formatted(pooling.equals("cls"), pooling.equals("mean"), pooling.equals("lasttoken")));
    Files.writeString(
        folder.resolve("config_sentence_transformers.json"),
        """
        {"prompts": {"query": "Instruct: Find the hat.\\nQuery:", "document": ""},
         "default_prompt_name": null, "similarity_fn_name": "cosine"}
        """);
    return folder;
  }

  /** Ends texts like Qwen3-Embedding's, and has the tokens of Qwen3-Reranker's questions. */
  private static ObjectNode tokenizer() {
    ObjectNode json = TinyTokenizer.json();
    ObjectNode model = (ObjectNode) json.get("model");
    ObjectNode vocabulary = (ObjectNode) model.get("vocab");
    vocabulary.removeIf(id -> id.intValue() >= END);
    ArrayNode merges = TinyTokenizer.MAPPER.createArrayNode();
    model
        .get("merges")
        .forEach(
            merge -> {
              if (vocabulary.has(merge.stringValue().replace(" ", ""))) {
                merges.add(merge);
              }
            });
    model.set("merges", merges);
    ArrayNode added = json.putArray("added_tokens");
    for (String name : List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>", "yes", "no")) {
      added
          .addObject()
          .put("id", END + added.size() - 1)
          .put("content", name)
          .put("special", name.startsWith("<"))
          .put("normalized", false);
    }
    ObjectNode template = json.putObject("post_processor").put("type", "TemplateProcessing");
    ArrayNode single = template.putArray("single");
    single.addObject().putObject("Sequence").put("id", "A");
    single.addObject().putObject("SpecialToken").put("id", "<|endoftext|>");
    ObjectNode special = template.putObject("special_tokens");
    special.putObject("<|endoftext|>").putArray("ids").add(END);
    return json;
  }
}
