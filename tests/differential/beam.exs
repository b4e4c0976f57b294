# Plays cases on the BEAM. Each line of stdin is [number, case] with maps written as ["%", [key, value], ...];
# each line of stdout is [number, log] in JSON.
defmodule Show do
  def text(value) when is_binary(value), do: value
  def text(value) when is_atom(value), do: value |> Atom.to_string() |> String.replace_prefix("Elixir.", "")
  def text(value) when is_integer(value), do: Integer.to_string(value)
  def text(value) when is_pid(value), do: "pid"
  def text({%{__exception__: true}, stack}) when is_list(stack), do: "raised"
  def text(value) when is_tuple(value), do: "{#{value |> Tuple.to_list() |> Enum.map_join(",", &text/1)}}"
  def text(value), do: inspect(value)

  def json(value) when is_integer(value), do: Integer.to_string(value)
  def json(value) when is_list(value), do: "[#{Enum.map_join(value, ",", &json/1)}]"
  def json(value) when is_binary(value), do: ~s("#{value |> String.replace("\\", "\\\\") |> String.replace("\"", "\\\"")}")

  def data(["%" | pairs]), do: Map.new(pairs, fn [key, value] -> {key, data(value)} end)
  def data(list) when is_list(list), do: Enum.map(list, &data/1)
  def data(value), do: value
end

defmodule Collector do
  use GenServer

  def ask(collector, request), do: GenServer.call(collector, request, :infinity)

  def init(nil), do: {:ok, %{log: [], incarnations: %{}, living: %{}, hung: %{}, labels: %{}, latest: %{}}}

  def handle_call(request, _from, state) do
    {reply, state} = handle(request, drain(state))
    {:reply, reply, state}
  end

  def handle_info({:DOWN, _, _, pid, reason}, state), do: {:noreply, ended(state, pid, reason)}

  # A death that caused a request comes before it in the log.
  defp drain(state) do
    Enum.reduce(Map.keys(state.living), state, fn pid, state ->
      if Process.alive?(pid) do
        state
      else
        receive do
          {:DOWN, _, _, ^pid, reason} -> ended(state, pid, reason)
        end
      end
    end)
  end

  defp ended(state, pid, reason) do
    {label, living} = Map.pop(state.living, pid)
    log(%{state | living: living, hung: Map.delete(state.hung, pid)}, ["end", label, Show.text(reason)])
  end

  defp log(state, entry), do: %{state | log: [entry | state.log]}

  defp handle({:begin, id, starts, boss, extra}, state) do
    number = Map.get(state.incarnations, id, 0) + 1
    outcome = Enum.at(starts, number - 1, "ok")
    label = "#{id}##{number}"
    state = log(state, ["start", label, outcome, boss | extra])
    {{label, outcome}, put_in(state.incarnations[id], number)}
  end

  defp handle({:up, id, label, pid, alone}, state) do
    Process.monitor(pid)
    state = if alone, do: put_in(state.hung[pid], true), else: state
    state = put_in(state.living[pid], label)
    state = put_in(state.latest[id], {pid, label})
    {:ok, put_in(state.labels[pid], label)}
  end

  defp handle({:stopping, label, reason, pid, hangs}, state) do
    state = log(state, ["stopping", label, Show.text(reason)])
    {:ok, if(hangs, do: put_in(state.hung[pid], true), else: state)}
  end

  defp handle({:note, entry}, state), do: {:ok, log(state, entry)}

  defp handle({:find, id}, state) do
    case state.latest[id] do
      {pid, label} when is_map_key(state.living, pid) and not is_map_key(state.hung, pid) ->
        {{pid, label}, state}

      _ ->
        {nil, state}
    end
  end

  defp handle({:latest, id}, state), do: {with({pid, _} <- state.latest[id], do: pid), state}

  defp handle(:look, state) do
    busy = Map.keys(Map.drop(state.living, Map.keys(state.hung)))
    {{length(state.log), busy, state.labels}, state}
  end

  defp handle(:hung, state), do: {Map.to_list(Map.take(state.living, Map.keys(state.hung))), state}
  defp handle(:log, state), do: {Enum.reverse(state.log), state}
end

defmodule Worker do
  use GenServer

  def init({collector, node, label, outcome, boss}) do
    if node["traps"], do: Process.flag(:trap_exit, true)

    case outcome do
      "ok" ->
        if node["unlinks"], do: Process.unlink(boss)
        Collector.ask(collector, {:up, node["id"], label, self(), node["unlinks"]})
        {:ok, {collector, node, label}}

      "error" -> {:stop, :refused}
      "ignore" -> :ignore
      "exit" -> exit(:gone)
      "bad" -> :junk
      "raise" -> raise "in init"
    end
  end

  def handle_call(:ping, _from, state), do: {:reply, :pong, state}
  def handle_cast("raise", _state), do: raise("told to")
  def handle_cast({:stop, reason}, state), do: {:stop, reason, state}
  def handle_info(_message, state), do: {:noreply, state}

  def terminate(reason, {collector, node, label}) do
    stop = node["stop"]
    Collector.ask(collector, {:stopping, label, reason, self(), stop == "never"})

    case stop do
      "prompt" -> :ok
      "slow" -> Process.sleep(20)
      "never" -> Process.sleep(:infinity)
      "raise" -> raise "in terminate"
      "other" -> exit(:other)
    end
  end
end

defmodule Boss do
  def init({collector, node, label, _, _} = arg) do
    flags = %{
      strategy: String.to_atom(node["strategy"]),
      intensity: node["intensity"],
      period: node["period"],
      auto_shutdown: String.to_atom(node["auto"])
    }

    up(arg, {:ok, {flags, Enum.map(node["children"], &Tree.spec(collector, &1, label))}})
  end

  # What a supervisor's init returns.
  def up({collector, node, label, outcome, _}, flags) do
    case outcome do
      "ignore" -> :ignore
      "bad" -> :junk
      "raise" -> raise "in init"
      "ok" -> Collector.ask(collector, {:up, node["id"], label, self(), false}) && flags
    end
  end
end

defmodule Pool do
  use DynamicSupervisor

  def init({_, node, _, _, _} = arg) do
    most = node["max_children"]

    flags =
      DynamicSupervisor.init(
        strategy: :one_for_one,
        max_restarts: node["intensity"],
        max_seconds: node["period"],
        max_children: if(most == "infinity", do: :infinity, else: most),
        extra_arguments: node["extra"]
      )

    Boss.up(arg, flags)
  end
end

defmodule Tree do
  def spec(collector, node, boss) do
    shutdown = node["shutdown"]

    %{
      id: node["id"],
      start: {Tree, :start, [collector, node, boss]},
      restart: String.to_atom(node["restart"]),
      shutdown: if(is_binary(shutdown), do: String.to_atom(shutdown), else: shutdown),
      type: if(node["kind"] == "worker", do: :worker, else: :supervisor),
      significant: node["significant"]
    }
  end

  # A dynamic supervisor's extra arguments come first.
  def start(x, y, collector, node, boss), do: start(collector, node, boss, [x, y])
  def start(x, collector, node, boss) when is_binary(x), do: start(collector, node, boss, [x])
  def start(collector, node, boss, extra) when is_list(extra), do: begin(collector, node, boss, extra)
  def start(collector, node, boss), do: begin(collector, node, boss, [])

  defp begin(collector, node, boss, extra) do
    {label, outcome} = Collector.ask(collector, {:begin, node["id"], node["starts"], boss, extra})
    arg = {collector, node, label, outcome, self()}
    case {outcome, node["kind"]} do
      {"start_raise", _} -> raise "in start"
      {"start_error", _} -> {:error, :refused}
      {"start_bad", _} -> :junk
      {_, "worker"} -> GenServer.start_link(Worker, arg)
      {_, "dynamic"} -> DynamicSupervisor.start_link(Pool, arg)
      {_, "supervisor"} -> :supervisor.start_link(Boss, arg)
    end
  end
end

defmodule Case do
  @patience 10_000

  def play(tree, script) do
    Process.flag(:trap_exit, true)
    {:ok, collector} = GenServer.start(Collector, nil)
    world = %{collector: collector, root: nil}

    root =
      case Tree.start(collector, tree, "") do
        {:ok, pid} -> pid
        other -> note(world, ["root", Show.text(other)]) && nil
      end

    world = %{world | root: root}

    try do
      show(world, quiet(world))

      for {event, number} <- Enum.with_index(script ++ [end_of(tree)]) do
        note(world, ["event", Integer.to_string(number)])
        results = act(world, event)
        lines = quiet(world)
        for result <- results, do: note(world, ["answer", answer(world, result)])
        show(world, lines)
      end
    catch
      {:never_quiet, why} -> note(world, ["never quiet", why])
    end

    for {pid, label} <- Collector.ask(collector, :hung) do
      note(world, ["left", label])
      Process.exit(pid, :kill)
    end

    log = Collector.ask(collector, :log)
    Process.exit(collector, :kill)
    log
  end

  defp end_of(tree), do: %{"do" => "exit", "who" => tree["id"], "how" => "signal", "reason" => "shutdown"}
  defp note(world, entry), do: Collector.ask(world.collector, {:note, entry})

  defp reason("shutdown_x"), do: {:shutdown, :x}
  defp reason(text), do: String.to_atom(text)

  # Events: what supervisors answered.

  defp act(_world, %{"do" => "wait", "ms" => ms}) do
    Process.sleep(ms)
    []
  end

  defp act(world, %{"do" => "exit", "who" => who} = event) do
    case Collector.ask(world.collector, {:find, who}) do
      {pid, _} -> leave(pid, event)
      nil -> note(world, ["absent", who])
    end

    []
  end

  defp act(world, %{"do" => what, "sup" => sup} = event) do
    case Collector.ask(world.collector, {:find, sup}) do
      {pid, label} when what == "ask" -> [ask(world, pid, label, event)]
      {pid, label} when what == "burst" -> burst(world, pid, label, event)
      nil -> note(world, ["absent", sup]) && []
    end
  end

  defp leave(pid, %{"how" => how, "reason" => text, "who" => who}) when binary_part(who, 0, 1) != "w" do
    if how == "stop" do
      catch_exit(fn -> :gen_server.stop(pid, reason(text), :infinity) end)
    else
      Process.exit(pid, reason(text))
      catch_exit(fn -> :supervisor.which_children(pid) end)
    end
  end

  defp leave(pid, %{"how" => how, "reason" => text}) do
    case {how, text} do
      {"stop", "raise"} -> GenServer.cast(pid, "raise")
      {"stop", _} -> GenServer.cast(pid, {:stop, reason(text)})
      {"signal", _} -> Process.exit(pid, reason(text))
    end

    catch_exit(fn -> GenServer.call(pid, :ping, :infinity) end)
  end

  # A dynamic supervisor knows its children by their pids.
  defp ask(world, pid, "d" <> _, %{"what" => "terminate_child", "child" => child}) do
    catch_exit(fn ->
      DynamicSupervisor.terminate_child(pid, Collector.ask(world.collector, {:latest, child}) || world.collector)
    end)
  end

  defp ask(world, pid, "d" <> _ = label, %{"what" => "start_child"} = event) do
    catch_exit(fn -> DynamicSupervisor.start_child(pid, Tree.spec(world.collector, event["node"], label)) end)
  end

  defp ask(world, pid, label, %{"what" => what, "child" => child} = event) do
    catch_exit(fn ->
      case what do
        "terminate_child" -> :supervisor.terminate_child(pid, child)
        "restart_child" -> :supervisor.restart_child(pid, child)
        "delete_child" -> :supervisor.delete_child(pid, child)
        "start_child" -> :supervisor.start_child(pid, Tree.spec(world.collector, event["node"], label))
        "which_children" -> {:rows, :supervisor.which_children(pid)}
        "count_children" -> {:count, :supervisor.count_children(pid)}
      end
    end)
  end

  defp answer(world, result) do
    {_, _, labels} = Collector.ask(world.collector, :look)

    case result do
      :ok -> "ok"
      {:ok, pid} when is_pid(pid) -> "ok #{labels[pid]}"
      none when none in [:ignore, {:ok, :undefined}] -> "ok none"
      {:rows, rows} -> rows(rows, labels)
      {:count, counts} -> counts(counts)
      {:exit, why} -> "exit #{Show.text(why)}"
      {:error, {:already_started, pid}} -> "error already_started #{labels[pid]}"
      {:error, {:bad_combination, _}} -> "error bad_combination"
      {:error, {why, child}} when elem(child, 0) == :child -> "error #{Show.text(why)}"
      {:error, why} -> "error #{Show.text(why)}"
    end
  end

  # A dynamic supervisor's rows have no order.
  defp rows(rows, labels) do
    told = Enum.map(rows, fn
      {id, pid, _, _} when is_pid(pid) -> "#{id}=#{labels[pid]}"
      {id, other, _, _} -> "#{id}=#{if other == :undefined, do: "none", else: other}"
    end)

    Enum.join(if(match?([{:undefined, _, _, _} | _], rows), do: Enum.sort(told), else: told), " ")
  end

  defp counts(counts), do: Enum.map_join([:specs, :active, :supervisors, :workers], " ", &"#{counts[&1]}")

  # A suspended supervisor finds all of it in its mailbox, in this order.
  defp burst(world, pid, label, event) do
    :sys.suspend(pid)

    waiting =
      for act <- event["acts"] do
        before = queued(pid)

        if act["do"] == "exit" do
          case Collector.ask(world.collector, {:find, act["who"]}) do
            {child, _} ->
              leave(child, act)
              unless Process.alive?(child), do: until_queued(pid, before + 1)
              nil

            nil ->
              note(world, ["absent", act["who"]]) && nil
          end
        else
          me = self()
          ref = make_ref()
          spawn(fn -> send(me, {ref, ask(world, pid, label, act)}) end)
          until_queued(pid, before + 1)
          ref
        end
      end

    then = event["then"]

    answers =
      case then && Collector.ask(world.collector, {:find, then["sup"]}) do
        {above, its_label} -> [ask(world, above, its_label, then)]
        nil -> []
      end

    # Unless it was stopped instead.
    catch_exit(fn -> :sys.resume(pid) end)

    answers ++ for ref <- waiting, ref != nil do
      receive do
        {^ref, result} -> result
      end
    end
  end

  defp queued(pid), do: elem(Process.info(pid, :message_queue_len), 1)
  defp until_queued(pid, count), do: if(queued(pid) < count, do: (Process.sleep(1); until_queued(pid, count)))

  defp catch_exit(work) do
    work.()
  catch
    :exit, {why, {module, _, _}} when is_atom(module) -> {:exit, why}
    :exit, why -> {:exit, why}
  end

  # Quiet: every row of every supervisor runs, nobody else does, and nothing was logged meanwhile.

  defp quiet(world), do: quiet(world, System.monotonic_time(:millisecond) + @patience)

  defp quiet(world, deadline) do
    {before, _, _} = Collector.ask(world.collector, :look)

    seen = if world.root && Process.alive?(world.root), do: walk(world.root, MapSet.new()), else: {MapSet.new(), []}
    {later, busy, labels} = Collector.ask(world.collector, :look)

    with {pids, lines} <- seen, true <- before == later, [] <- Enum.reject(busy, &MapSet.member?(pids, &1)) do
      Enum.reverse(lines)
    else
      why ->
        if System.monotonic_time(:millisecond) > deadline do
          throw({:never_quiet, if(is_list(why), do: Enum.map_join(why, " ", &labels[&1]), else: "moving")})
        end

        Process.sleep(1)
        quiet(world, deadline)
    end
  end

  defp show(world, lines) do
    {_, _, labels} = Collector.ask(world.collector, :look)
    lines = Enum.sort_by(lines, fn {pid, _, _} -> labels[pid] end)
    for {pid, rows, counts} <- lines, do: note(world, ["tree", labels[pid], rows(rows, labels), counts(counts)])
  end

  defp walk(sup, pids) do
    with rows when is_list(rows) <- catch_exit(fn -> :supervisor.which_children(sup) end),
         counts when is_list(counts) <- catch_exit(fn -> :supervisor.count_children(sup) end) do
      Enum.reduce_while(rows, {MapSet.put(pids, sup), [{sup, rows, counts}]}, fn
        {_, :undefined, _, _}, acc -> {:cont, acc}
        {_, :restarting, _, _}, _ -> {:halt, false}
        {_, pid, type, _}, {pids, lines} ->
          cond do
            not Process.alive?(pid) -> {:halt, false}
            type == :worker -> {:cont, {MapSet.put(pids, pid), lines}}
            true ->
              case walk(pid, pids) do
                {pids, more} -> {:cont, {pids, more ++ lines}}
                false -> {:halt, false}
              end
          end
      end)
    else
      _ -> false
    end
  end
end

defmodule Main do
  def loop(running) when running >= 24 do
    receive do
      :played -> loop(running - 1)
    end
  end

  def loop(running) do
    case IO.gets("") do
      line when is_binary(line) ->
        me = self()

        spawn(fn ->
          [number, played] = Show.data(Code.string_to_quoted!(line))

          log =
            try do
              Case.play(played["tree"], played["script"])
            catch
              kind, why -> [["crashed", inspect({kind, why, __STACKTRACE__})]]
            end

          IO.puts(Show.json([number, log]))
          send(me, :played)
        end)

        loop(running + 1)

      _ ->
        Enum.each(1..running//1, fn _ -> receive do: (:played -> :ok) end)
        System.halt(0)
    end
  end
end

:logger.set_primary_config(:level, :none)
Main.loop(0)
