package panamoe.retrieval;

import java.nio.file.Path;
import java.util.BitSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.data.ReleasedTokenizer;
import panamoe.data.Tokenizer;
import panamoe.open.ModelFolder;

/**
 * How a model is asked whether a document answers a query: in the form of Qwen3-Reranker, or by the
 * template {@code rerank} of a GGUF file. The score is the probability of "yes" among "yes" and
 * "no", by the logits of the next token or of a head of labels.
 *
 * @param template with {@code {query}}, {@code {document}} and perhaps {@code {instruction}}
 * @param yes the logit of "yes": a token or a label
 * @param no the logit of "no"; {@link #NONE}: 0, for a head of one label
 */
public record RerankForm(String template, int yes, int no) {
  /** What a query asks for, where the caller does not say. */
  public static final String INSTRUCTION =
      "Given a web search query, retrieve relevant passages that answer the query";

  /** No logit of "no". */
  static final int NONE = -1;

  private static final Pattern FIELD = Pattern.compile("\\{(query|document|instruction)}");

  private static final String TEMPLATE =
      """
      <|im_start|>system
      Judge whether the Document meets the requirements based on the Query and the Instruct \
      provided. Note that the answer can only be "yes" or "no".<|im_end|>
      <|im_start|>user
      <Instruct>: {instruction}
      <Query>: {query}
      <Document>: {document}<|im_end|>
      <|im_start|>assistant
      <think>

      </think>

      """;

  /**
   * Reads the form of a model.
   *
   * @throws CheckpointException if the model is of another form
   */
  public static RerankForm of(ModelFolder folder) {
    Tokenizer tokenizer = folder.tokenizer();
    Path place = folder.tokenizerFiles().place();
    String own = null;
    if (ModelFolder.isGguf(place)) {
      try (GgufFile file = GgufFile.open(place)) {
        own = ReleasedTokenizer.chatTemplates(file.metadata().values()).get("rerank");
      }
    }
    String template = own == null ? TEMPLATE : own.replace(INSTRUCTION, "{instruction}");
    for (String field : new String[] {"query", "document"}) {
      if (!template.contains("{" + field + "}")) {
        throw new CheckpointException("%s: its template rerank has no {%s}", place, field);
      }
    }
    boolean chat = own != null || isSpecial(tokenizer, "<|im_start|>");
    Integer labels = folder.config().head().labels();
    int[] yes = labels == null ? tokenizer.encode("yes") : new int[] {0};
    int[] no = labels == null ? tokenizer.encode("no") : new int[] {labels == 1 ? NONE : 1};
    if (!chat || yes.length != 1 || no.length != 1) {
      throw new CheckpointException(
          "%s is not in the form of Qwen3-Reranker: its tokenizer has no token %s",
          folder.path(), chat ? "yes or no" : "<|im_start|>");
    }
    if (labels != null && (labels < 1 || labels > 2)) {
      throw new CheckpointException(
          "%s has %s labels, expected 1 or 2, the first of them \"yes\"", folder.path(), labels);
    }
    return new RerankForm(template, yes[0], no[0]);
  }

  private static boolean isSpecial(Tokenizer tokenizer, String name) {
    int[] tokens = tokenizer.encodeWithSpecialTokens(name, new BitSet());
    return tokens.length == 1 && tokenizer.special(tokens[0]).equals(name);
  }

  /** The tokens of the question. What the caller gives spells no special token. */
  public int[] tokens(Tokenizer tokenizer, String instruction, String query, String document) {
    StringBuilder text = new StringBuilder();
    BitSet literal = new BitSet();
    int from = 0;
    Matcher field = FIELD.matcher(template);
    while (field.find()) {
      text.append(template, from, field.start());
      from = field.end();
      int start = text.length();
      text.append(
          switch (field.group(1)) {
            case "query" -> query;
            case "document" -> document;
            default -> instruction;
          });
      literal.set(start, text.length());
    }
    text.append(template, from, template.length());
    return tokenizer.encodeWithSpecialTokens(text.toString(), literal);
  }

  /** The probability of "yes", 0 to 1, by the logits of the question's last token. */
  public double score(float[] logits) {
    return 1 / (1 + Math.exp((no == NONE ? 0.0 : logits[no]) - logits[yes]));
  }
}
