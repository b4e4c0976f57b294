%% Plays scripts on OTP's own gen_statem. In: one {Module, Actions, Results, Steps} a line, in which
%% past and future are instants and from is who made a call. Out: the trace of each, one a line.
-module(statem_beam).
-define(RESULTS, 12).
-export([main/2, init/1, handle_event/4, terminate/3]).

main(In, Out) ->
    {ok, Scripts} = file:consult(In),
    logger:set_primary_config(level, none),
    {ok, File} = file:open(Out, [write]),
    Now = erlang:monotonic_time(millisecond),
    Meant = #{past => Now - 1, future => Now + 1000000, from => {self(), reply}},
    Words = maps:from_list([{Value, Word} || {Word, Value} <- maps:to_list(Meant)]),
    [io:format(File, "~w~n", [swap(play(swap(Script, Meant)), Words)]) || Script <- Scripts],
    file:close(File).

%% The term with what is a key of the map replaced by its value.
swap(Term, Map) when is_map_key(Term, Map) -> map_get(Term, Map);
swap(Term, Map) when is_list(Term) -> [swap(Part, Map) || Part <- Term];
swap(Term, Map) when is_tuple(Term) -> list_to_tuple(swap(tuple_to_list(Term), Map));
swap(Term, _) -> Term.

init({Actions, Results, To}) ->
    put(results, Results),
    put(to, To),
    {ok, a, 0, Actions}.

handle_event(Type, Content, State, Data) ->
    get(to) ! {call, Type, Content, State, Data},
    case get(results) of
        [] -> keep_state_and_data;
        [Result | Results] -> put(results, Results), Result
    end.

terminate(Reason, State, Data) ->
    get(to) ! {terminate, Reason, State, Data}.

play({Module, Actions, Results, Steps}) ->
    {ok, Pid} = gen_statem:start(Module, {Actions, Results, self()}, []),
    catch settled(Pid),
    [step(Pid, Contents) || Contents <- Steps],
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, _, _, _} -> ok end,
    heard().

%% The casts are all in the mailbox before the first is handled.
step(Pid, Contents) ->
    try
        sys:suspend(Pid),
        [gen_statem:cast(Pid, Content) || Content <- Contents],
        sys:resume(Pid),
        {State, Data} = settled(Pid),
        self() ! {rests, State, Data}
    catch
        exit:_ -> ended
    end.

%% State and data when nothing is left in the mailbox: a time-out whose instant is over stands there
%% behind the question, and its callback may set another, as often as there are results.
settled(Pid) ->
    lists:last([sys:get_state(Pid) || _ <- lists:seq(0, ?RESULTS)]).

heard() ->
    receive Message -> [Message | heard()] after 0 -> [] end.
