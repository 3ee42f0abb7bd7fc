package panamoe.djl;

import ai.djl.inference.Predictor;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import java.nio.file.Path;
import panamoe.text.GenerationOptions;
import panamoe.text.Sampling;

/** The example of {@link TextTranslator}'s documentation and of the cookbook; a test runs it. */
final class PanamoeEngineExample {
  private PanamoeEngineExample() {}

  static String run(Path folder) throws Exception {
    // @start region="engine"
    GenerationOptions options = GenerationOptions.of(60).withSampling(Sampling.of(0.8, 1));
    Criteria<String, GeneratedText> criteria =
        Criteria.builder()
            .setTypes(String.class, GeneratedText.class)
            .optEngine("Panamoe")
            .optModelPath(folder) // or a GGUF file
            .optOption("precision", "bfloat16")
            .optTranslator(new TextTranslator(options))
            .build();
    try (ZooModel<String, GeneratedText> model = criteria.loadModel();
        Predictor<String, GeneratedText> predictor = model.newPredictor()) {
      String whole = predictor.predict("Mr President").result().text();
      try (GeneratedText pieces = predictor.streamingPredict("Mr President").getIterativeOutput()) {
        while (pieces.hasNext()) {
          System.out.print(pieces.next());
        }
        System.out.println(": " + pieces.result().finishReason());
      }
      return whole;
    }
    // @end
  }
}
