package panamoe.train;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import panamoe.model.ModelConfig;

/**
 * A run: the model and its training, as {@code config.json} holds it. Reading is strict: an unknown, missing, repeated or
 * mistyped key is refused with its path.
 *
 * @param seed of weights, data order and noise
 */
public record RunConfig(ModelConfig model, TrainConfig training, long seed) {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .withCoercionConfig(
              LogicalType.Integer, c -> c.setCoercion(CoercionInputShape.Float, CoercionAction.Fail))
          .build();

  public RunConfig {
    if (model == null || training == null) {
      throw new IllegalArgumentException("a run needs both \"model\" and \"training\"");
    }
    if (training.sequence() > model.context()) {
      throw new IllegalArgumentException(
          "training.sequence is " + training.sequence() + ", more than model.context = " + model.context());
    }
  }

  /**
   * Reads {@code file}.
   *
   * @throws IllegalArgumentException with the file, the JSON path and what is wrong
   */
  public static RunConfig read(Path file) {
    try (JsonParser parser = JSON.createParser(Files.readAllBytes(file))) {
      return JSON.readValue(parser, RunConfig.class);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(file + ": " + sentence(e), e);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot read the config " + file + ": " + e.getMessage(), e);
    }
  }

  /** The JSON text that {@link #read} reads. */
  public String toJson() {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(this) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a run config is always writable", e);
    }
  }

  private static String sentence(JsonProcessingException e) {
    if (e instanceof UnrecognizedPropertyException unknown) {
      return "unknown key \""
          + unknown.getPropertyName()
          + "\" at "
          + path(unknown)
          + "; known here: "
          + unknown.getKnownPropertyIds();
    }
    String what = e.getCause() instanceof IllegalArgumentException cause ? cause.getMessage() : e.getOriginalMessage();
    return e instanceof JsonMappingException mapping ? "at " + path(mapping) + ": " + what : what;
  }

  private static String path(JsonMappingException e) {
    return e.getPath().stream()
        .map(step -> step.getFieldName() != null ? "." + step.getFieldName() : "[" + step.getIndex() + "]")
        .collect(Collectors.joining("", "$", ""));
  }
}
