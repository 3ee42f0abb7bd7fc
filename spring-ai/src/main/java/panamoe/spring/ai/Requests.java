package panamoe.spring.ai;

import static panamoe.spring.ai.PanamoeChatOptions.or;

import java.util.List;
import java.util.function.Function;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.model.tool.ToolCallingChatOptions;
import org.springframework.ai.tool.definition.ToolDefinition;
import panamoe.text.ChatOptions;
import panamoe.text.GenerationOptions;
import panamoe.text.Sampling;
import panamoe.text.TextRequest;
import panamoe.text.Tool;
import panamoe.text.ToolChoice;

/** Spring AI's prompts as requests of the facade. */
final class Requests {
  private static final int USUAL_TOKENS = 1024;

  private Requests() {}

  /**
   * @param prompt its options are Panamoe's
   */
  static TextRequest of(
      Prompt prompt,
      Sampling usual,
      Function<ToolCallingChatOptions, List<ToolDefinition>> definitions) {
    PanamoeChatOptions asked = (PanamoeChatOptions) prompt.getOptions();
    GenerationOptions text =
        GenerationOptions.of(or(asked.getMaxTokens(), USUAL_TOKENS))
            .withSampling(sampling(asked, usual))
            .withStop(or(asked.getStopSequences(), List.<String>of()).toArray(String[]::new))
            .withSchema(asked.getOutputSchema());
    ChatOptions options =
        ChatOptions.of(text)
            .withVariables(or(asked.getVariables(), "{}"))
            .withParallel(or(asked.getParallelToolCalls(), true))
            .withTools(
                definitions.apply(asked).stream()
                    .map(each -> new Tool(each.name(), each.description(), each.inputSchema()))
                    .toArray(Tool[]::new))
            .withChoice(or(asked.getToolChoice(), ToolChoice.AUTO));
    return TextRequest.of(Messages.of(prompt.getInstructions()), options)
        .withDeadline(asked.getTimeout());
  }

  private static Sampling sampling(PanamoeChatOptions asked, Sampling usual) {
    Sampling.Penalties penalties = usual.penalties();
    return new Sampling(
        or(asked.getTemperature(), usual.temperature()),
        or(asked.getTopK(), usual.topK()),
        or(asked.getTopP(), usual.topP()),
        or(asked.getMinP(), usual.minP()),
        new Sampling.Penalties(
            or(asked.getRepetitionPenalty(), penalties.repetition()),
            or(asked.getPresencePenalty(), penalties.presence()),
            or(asked.getFrequencyPenalty(), penalties.frequency())),
        or(asked.getSeed(), usual.seed()));
  }
}
