package panamoe.harness.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import panamoe.io.Require;
import tools.jackson.databind.json.JsonMapper;

/**
 * A text that a report shows: one that the model wrote or read.
 *
 * @param language ISO 639-1; null if it is not known
 * @param prompt that the model went on with; empty for a text that it read
 * @param routes where the text's tokens were sent; null of a dense model
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record RoutedText(String language, String prompt, String text, TokenRoutes routes) {
  /**
   * @throws IllegalArgumentException without a prompt or a text
   */
  public RoutedText {
    Require.that(prompt != null && text != null, "a shown text needs a prompt and a text");
  }

  private static final JsonMapper JSON = JsonMapper.shared();

  /** The content of {@code samples.json} or {@code reading.json}. */
  public static String toJson(List<RoutedText> texts) {
    return JSON.valueToTree(texts).toString();
  }
}
