package panamoe.spark;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.spark.ml.linalg.SQLDataTypes;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import panamoe.api.Device;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.io.Sha256;
import panamoe.io.Words;
import panamoe.text.GenerationOptions;
import panamoe.text.ModelOptions;
import panamoe.text.Sampling;

/**
 * What a transformer computes, for its tasks. Checked when it is made.
 *
 * @param promptName of embeddings; null for the model's usual prompt
 */
record RowSettings(
    String model,
    Task task,
    Columns columns,
    Completion completion,
    Engine engine,
    String promptName)
    implements Serializable {
  /** What a row's value is. */
  enum Task {
    TEXT,
    EMBEDDING,
    LIKELIHOOD
  }

  /**
   * The columns.
   *
   * @param choices null: none
   * @param seed null: none
   * @param vectors whether embeddings are vectors of MLlib
   */
  record Columns(String input, String output, String choices, String seed, boolean vectors)
      implements Serializable {}

  /** Settings of a completion. */
  record Completion(long seed, int maxTokens, double temperature, double topP, String... stop)
      implements Serializable {
    /**
     * @param seed of the row; null: of the prompt
     */
    GenerationOptions options(Long seed, String prompt) {
      return new GenerationOptions(
          maxTokens,
          List.of(stop),
          Sampling.of(temperature, seed == null ? mixed(prompt) : seed).withTopP(topP),
          null,
          false);
    }

    /** A seed that depends on the prompt, so that prompts do not share their random numbers. */
    private long mixed(String prompt) {
      MessageDigest digest = Sha256.digest();
      digest.update(ByteBuffer.allocate(Long.BYTES).putLong(seed).flip());
      return ByteBuffer.wrap(digest.digest(prompt.getBytes(UTF_8))).getLong();
    }
  }

  /** Settings of an executor's engine. */
  record Engine(int sequences, int context, int threads, String device, String weights)
      implements Serializable {
    ModelOptions options() {
      return ModelOptions.USUAL
          .withSequences(sequences)
          .withContext(context)
          .withWeights(choice(ModelOptions.Weights.class, "weights", weights));
    }

    Device.Type type() {
      return choice(Device.Type.class, "device", device);
    }
  }

  RowSettings {
    engine.options();
    engine.type();
    completion.options(0L, "");
    Require.that(
        task != Task.LIKELIHOOD || columns.choices != null,
        "choicesCol is not set: the likelihood is that of choices");
  }

  /** The constant of a parameter's value, in lower case. */
  static <E extends Enum<E>> E choice(Class<E> type, String name, String value) {
    for (E each : type.getEnumConstants()) {
      if (each.name().toLowerCase(Locale.ROOT).equals(value)) {
        return each;
      }
    }
    throw Require.refusal(
        "%s is '%s', expected one of %s",
        name,
        value,
        Arrays.stream(type.getEnumConstants())
            .map(each -> each.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(", ")));
  }

  /**
   * The schema with the output column.
   *
   * @throws IllegalArgumentException in one sentence, if a column is missing or of another type
   */
  StructType appended(StructType schema) {
    DataType input = type(schema, columns.input);
    boolean conversation = task == Task.TEXT && isMessages(input);
    Require.that(
        conversation || input.equals(DataTypes.StringType),
        "column %s is %s, expected string%s",
        columns.input,
        input.simpleString(),
        task == Task.TEXT ? ", or array<struct<role:string,content:string>>" : "");
    if (columns.choices != null) {
      DataType choices = type(schema, columns.choices);
      Require.that(
          choices instanceof ArrayType of && of.elementType().equals(DataTypes.StringType),
          "column %s is %s, expected array<string>",
          columns.choices,
          choices.simpleString());
    }
    if (columns.seed != null) {
      DataType seed = type(schema, columns.seed);
      Require.that(
          seed.equals(DataTypes.LongType),
          "column %s is %s, expected bigint",
          columns.seed,
          seed.simpleString());
    }
    Require.that(
        !List.of(schema.fieldNames()).contains(columns.output),
        "there is a column %s already",
        columns.output);
    return schema.add(
        columns.output,
        switch (task) {
          case TEXT -> DataTypes.StringType;
          case EMBEDDING ->
              columns.vectors
                  ? SQLDataTypes.VectorType()
                  : DataTypes.createArrayType(DataTypes.FloatType, false);
          case LIKELIHOOD -> DataTypes.createArrayType(DataTypes.DoubleType, false);
        },
        false);
  }

  private static DataType type(StructType schema, String column) {
    for (StructField field : schema.fields()) {
      if (field.name().equals(column)) {
        return field.dataType();
      }
    }
    throw Require.refusal(
        "there is no column %s, expected one of %s",
        column, String.join(", ", schema.fieldNames()));
  }

  private static boolean isMessages(DataType type) {
    return type instanceof ArrayType array
        && array.elementType() instanceof StructType fields
        && List.of(fields.fieldNames()).containsAll(List.of("role", "content"))
        && fields.apply("role").dataType().equals(DataTypes.StringType)
        && fields.apply("content").dataType().equals(DataTypes.StringType);
  }

  /** The memory of an executor, in words. */
  String memory() {
    Map<String, Long> parts;
    try (SharedModel.Place place = SharedModel.place(model)) {
      parts = engine.options().memory(place.path());
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
    long all = parts.values().stream().mapToLong(Long::longValue).sum();
    return Words.of(
        "memory of each executor, outside of its heap: %s (%s)",
        Count.bytes(all),
        parts.entrySet().stream()
            .map(part -> part.getKey() + " " + Count.bytes(part.getValue()))
            .collect(Collectors.joining(", ")));
  }
}
