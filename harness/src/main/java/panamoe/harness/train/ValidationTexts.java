package panamoe.harness.train;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.data.Corpus;
import panamoe.data.TokenSequences;
import panamoe.data.TrainingData;
import panamoe.harness.corpus.LanguageLabels;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.TokenRoutes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Routed documents of the validation part, for the report. */
record ValidationTexts(RouteProbe reading) {
  /** Tokens per document in the report. */
  private static final int TOKENS = 200;

  /** Most languages in the report. */
  private static final int LANGUAGES = 5;

  /** The content of {@code reading.json}: a document per language, or one. */
  String of(TrainingInputs material) {
    return RoutedText.toJson(
        material.text().multilingual()
            ? byLanguage(material.text().corpus().passages(Corpus.Part.VALIDATION))
            : List.of(shown(null, beginning(material.data()))));
  }

  private List<RoutedText> byLanguage(List<String> passages) {
    LanguageLabels labels = new LanguageLabels();
    Map<String, String> firsts = new TreeMap<>();
    for (String passage : passages) {
      firsts.putIfAbsent(labels.label(passage), passage);
    }
    firsts.remove(LanguageLabels.UNKNOWN);
    return firsts.entrySet().stream()
        .limit(LANGUAGES)
        .map(first -> shown(first.getKey(), reading.tokenizer().encode(first.getValue())))
        .toList();
  }

  /** The first text of the validation part. */
  private int[] beginning(TokenSequences data) {
    try (TensorScope scope = TensorScope.confined(reading.backend())) {
      Tensor ids = scope.allocate(DType.INT32, data.length());
      Tensor targets = scope.allocate(DType.INT32, data.length());
      int end = data.fillValidation(0, ids, targets).texts()[0];
      while (targets.getInt(end - 1L) == TrainingData.NO_TARGET) {
        end--; // there is a target: every validation sequence has one
      }
      return Arrays.copyOf(ids.toInts(), end);
    }
  }

  private RoutedText shown(String language, int[] tokens) {
    int length = Math.min(Math.min(tokens.length, TOKENS), reading.model().config().context());
    int[] some = Arrays.copyOf(tokens, length);
    TokenRoutes routes = reading.routes(some, 0);
    return new RoutedText(language, "", reading.tokenizer().decode(some), routes);
  }
}
